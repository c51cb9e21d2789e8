// Asking the daemon. GET is all there is.

const PATIENCE = 45; // seconds until an answer that does not come is given up; watchd itself gives the engine 30
const MAKING = 202; // the answer is being made: ask again
const SILENT = "watchd does not answer";
const ENGINE_DOWN = "The engine does not answer";
const SLOW = `watchd has not answered in ${PATIENCE} s`;

const problems = new Map(); // what was wrong with the last answer, by the path that is followed
let listener = () => {};

/** Have `heard` told all that is wrong, after each answer and each failure, and whether any answer did not come at all. */
export function onAnswer(heard) {
  listener = () => {
    const words = new Set(problems.values());
    heard([...words], words.has(SILENT) || words.has(SLOW));
  };
}

/** Return the JSON at a path, relative to the page. Throws what is wrong as an Error for people to read. */
export async function ask(path, signal) {
  for (;;) {
    const limit = AbortSignal.timeout(PATIENCE * 1000);
    const reply = await fetch(path, { signal: signal ? AbortSignal.any([signal, limit]) : limit });
    if (!reply.ok) throw Object.assign(new Error(await problem(reply)), { status: reply.status });
    if (reply.status !== MAKING) return reply.json();
    await pause(1, signal);
  }
}

/** Wait so many seconds. Throws when that is ended meanwhile. */
export async function pause(seconds, signal) {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  signal?.throwIfAborted();
}

/** Whether it is a failure to ask for something that is not there. */
export const isMissing = (error) => error.status === 404;

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
  if (error instanceof TypeError) return SILENT;
  return error.name === "TimeoutError" ? SLOW : error.message;
}

/**
 * Ask for a path now and every so many seconds, while the page is seen, and hand each answer to `take`. Where what it is
 * about may go, `missing` is called as long as it is not there. Return what ends that.
 */
export function follow(path, every, take, missing = null) {
  const ended = new AbortController();
  let timer = 0;
  let asking = false;

  async function turn() {
    clearTimeout(timer);
    if (asking || ended.signal.aborted || document.hidden) return;
    asking = true;
    let heard = () => {};
    let wrong = null;
    try {
      const answer = await ask(path, ended.signal);
      heard = () => take(answer);
      if (answer.engine_up === false) wrong = ENGINE_DOWN;
    } catch (error) {
      if (missing && isMissing(error)) heard = missing;
      else wrong = worded(error);
    }
    asking = false;
    if (ended.signal.aborted) return;
    timer = setTimeout(turn, every * 1000);
    if (wrong === null) problems.delete(path);
    else problems.set(path, wrong);
    listener();
    heard();
  }

  document.addEventListener("visibilitychange", turn, { signal: ended.signal });
  turn();
  return () => {
    ended.abort();
    clearTimeout(timer);
    problems.delete(path); // which is told with the next answer
  };
}
