// Events as rows: which of them are noise, which repeat, and their words.

// What comes along with a start or an end of a container, or with someone looking into it.
const NOISE = {
  container: new Set(["attach", "detach", "resize", "top", "archive-path", "extract-to-dir", "export"]),
  network: new Set(["connect", "disconnect"]),
  volume: new Set(["mount", "unmount"]),
};

/** Whether an event only comes along with another one. */
export const isNoise = ({ type, action }) => Boolean(NOISE[type]?.has(action));

/** Join events that follow each other and are the same, as the health of a container that goes to and fro. */
export function repeated(rows) {
  const joined = [];
  for (const row of rows) {
    const last = joined.at(-1);
    const isSame = last && ["type", "action", "id", "exit_code"].every((name) => last[name] === row[name]);
    if (isSame && last.container?.id === row.container?.id) Object.assign(last, { times: last.times + 1, first: row.time });
    else joined.push({ ...row, times: 1, first: row.time });
  }
  return joined;
}

/** Text of what happened: "die (137)". */
export const words = ({ action, exit_code: code }) => (code === null || code === undefined ? action : `${action} (${code})`);
