// Events as rows: which of them are noise, which repeat, and their words.

// What comes along with a start or an end of a container, or with someone looking into it.
const NOISE = {
  container: new Set(["attach", "detach", "resize", "top", "archive-path", "extract-to-dir", "export"]),
  network: new Set(["connect", "disconnect"]),
  volume: new Set(["mount", "unmount"]),
};

/** Whether an event only comes along with another one. */
export const isNoise = ({ type, action }) => Boolean(NOISE[type]?.has(action));

const NEAR = 6; // lines

/** Join events that are the same and near each other, as the starts and ends of a container that restarts again and again. */
export function repeated(rows) {
  const joined = [];
  for (const row of rows) {
    const last = joined.slice(-NEAR).find((other) => isSame(other, row));
    if (last) Object.assign(last, { times: last.times + 1, first: row.time });
    else joined.push({ ...row, times: 1, first: row.time });
  }
  return joined;
}

const isSame = (one, other) =>
  ["type", "action", "id", "exit_code", "health"].every((name) => one[name] === other[name]) &&
  one.container?.id === other.container?.id;

/** Text of what happened: "die (137)", "health_status: unhealthy". */
export function words({ action, exit_code: code, health }) {
  if (health) return `${action}: ${health}`;
  return code === null || code === undefined ? action : `${action} (${code})`;
}
