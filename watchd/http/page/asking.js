// Requests to the daemon, all of them GET.

const TIMEOUT = 45; // seconds; watchd itself gives the engine 30
const PREPARING = 202; // the answer is being prepared: ask again
const ENGINE = "api/v1/engine";
const SILENT = "watchd does not answer";
const ENGINE_DOWN = "The engine does not answer";
const SLOW = `watchd has not answered in ${TIMEOUT} s`;

const problems = new Map(); // error of the last request, by polled path
const answered = new Set(); // polled paths with an answer since their view opened
let listener = () => {};

/** Call `heard` after each request: with all current errors, whether watchd did not answer one, and whether it did one. */
export function onAnswer(heard) {
  listener = () => {
    const words = new Set(problems.values());
    heard([...words], words.has(SILENT) || words.has(SLOW), answered.size > 0);
  };
}

/** Return the JSON at a path, relative to the page. Throws an Error with a text for users. */
export async function ask(path, signal) {
  for (;;) {
    const limit = AbortSignal.timeout(TIMEOUT * 1000);
    const reply = await fetch(path, { signal: signal ? AbortSignal.any([signal, limit]) : limit });
    if (!reply.ok) throw Object.assign(new Error(await problem(reply)), { status: reply.status });
    if (reply.status !== PREPARING) return reply.json();
    await pause(1, signal);
  }
}

/** Wait some seconds. Throws if `signal` is aborted meanwhile. */
export async function pause(seconds, signal) {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  signal?.throwIfAborted();
}

/** Whether the error is "not found". */
export const isMissing = (error) => error.status === 404;

async function problem(reply) {
  const text = (await reply.text()).trim();
  try {
    return JSON.parse(text).error;
  } catch {
    return text || `watchd answers ${reply.status}`;
  }
}

/** Return the text of an error for users: a browser's own texts say little. */
export function errorText(error) {
  if (error instanceof TypeError) return SILENT;
  return error.name === "TimeoutError" ? SLOW : error.message;
}

/**
 * Poll a path every `every` seconds while the page is visible, and pass each answer to `take`, which may return the
 * seconds until the next request. `path` may be a function. `missing`, if given, is called instead when the answer is
 * "not found". Return a function that ends polling.
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
    let hasAnswer = false;
    try {
      const answer = await ask(typeof path === "function" ? path() : path, ended.signal);
      heard = () => take(answer);
      hasAnswer = true;
      if (answer.engine_up === false) wrong = ENGINE_DOWN;
    } catch (error) {
      if (missing && isMissing(error)) heard = missing;
      else wrong = errorText(error);
    }
    asking = false;
    if (ended.signal.aborted) return;
    if (hasAnswer && path !== ENGINE) answered.add(path); // that one says nothing about the view's data
    if (wrong === null) problems.delete(path);
    else problems.set(path, wrong);
    timer = setTimeout(turn, every * 1000);
    listener();
    const sooner = heard();
    if (typeof sooner === "number" && !ended.signal.aborted) {
      clearTimeout(timer);
      timer = setTimeout(turn, sooner * 1000);
    }
  }

  document.addEventListener("visibilitychange", turn, { signal: ended.signal });
  turn();
  return () => {
    ended.abort();
    clearTimeout(timer);
    answered.delete(path);
    problems.delete(path); // `listener` hears of it after the next request
  };
}

/** Poll the engine's name and whether it answers, whatever view is open. */
export const followEngine = (take) => follow(ENGINE, 5, take);
