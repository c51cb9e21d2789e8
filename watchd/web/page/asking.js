// Asking the daemon. GET is all there is.

const PATIENCE = 30; // seconds until an answer that does not come is given up
const MAKING = 202; // the answer is being made: ask again

let listener = () => {};

/** Have `heard` told of each answer (null) and of each failure (its message). */
export function onAnswer(heard) {
  listener = heard;
}

/** Return the JSON at a path, relative to the page. Throws what is wrong as an Error for people to read. */
export async function ask(path, signal) {
  for (;;) {
    const limit = AbortSignal.timeout(PATIENCE * 1000);
    const reply = await fetch(path, { signal: signal ? AbortSignal.any([signal, limit]) : limit });
    if (!reply.ok) throw new Error(await problem(reply));
    if (reply.status !== MAKING) return reply.json();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    signal?.throwIfAborted();
  }
}

async function problem(reply) {
  const text = (await reply.text()).trim();
  try {
    return JSON.parse(text).error;
  } catch {
    return text || `watchd answers ${reply.status}`;
  }
}

/** What a failure to ask is called: a browser's own words for it say little. */
export function worded(error) {
  return error instanceof TypeError || error.name === "TimeoutError" ? "watchd does not answer" : error.message;
}

/**
 * Ask for a path now and every so many seconds, while the page is seen, and hand each answer to `take`.
 * Return what ends that.
 */
export function follow(path, every, take) {
  const ended = new AbortController();
  let timer = 0;
  let asking = false;

  async function turn() {
    clearTimeout(timer);
    if (asking || ended.signal.aborted || document.hidden) return;
    asking = true;
    let answer = null;
    try {
      answer = await ask(path, ended.signal);
    } catch (error) {
      if (!ended.signal.aborted) listener(worded(error));
    }
    asking = false;
    if (ended.signal.aborted) return;
    timer = setTimeout(turn, every * 1000);
    if (answer !== null) {
      listener(null);
      take(answer);
    }
  }

  document.addEventListener("visibilitychange", turn, { signal: ended.signal });
  turn();
  return () => {
    ended.abort();
    clearTimeout(timer);
  };
}
