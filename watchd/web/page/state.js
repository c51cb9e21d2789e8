// What a line about a container says, in words and sums.

const ORDER = ["running", "paused", "restarting", "removing", "created", "exited", "dead"]; // what runs comes first
const GONE = new Set(["exited", "dead", "created", "removing"]);

/** Whether it runs, be it paused. */
export const runs = (row) => !GONE.has(row.state);

/** Where its state stands among others, for sorting. */
export const rank = (row) => ORDER.indexOf(row.state);

/** How a state looks: "good", "warns", "bad" or "quiet". */
export function tone(row) {
  if (row.health === "unhealthy" || row.state === "dead" || row.oom_killed) return "bad";
  if (row.state === "exited") return row.exit_code ? "warns" : "quiet";
  if (row.state === "paused" || row.state === "restarting" || row.health === "starting") return "warns";
  return row.state === "running" ? "good" : "quiet";
}

/** A state in words: "exited (137), out of memory". */
export function stateOf(row) {
  const code = row.state === "exited" && row.exit_code !== null ? ` (${row.exit_code})` : "";
  const health = row.health && runs(row) ? `, ${row.health}` : "";
  return `${row.state}${code}${health}${row.oom_killed ? ", out of memory" : ""}`;
}

/** Since when it is in its state, in seconds since the epoch. */
export function since(row) {
  return (runs(row) ? row.started_at : row.finished_at) ?? row.created_at;
}

const both = (one, other) => (one === null && other === null ? null : (one ?? 0) + (other ?? 0));

/** Bytes that it receives and sends each second; null where neither is known. */
export const network = (row) => both(row.network_receive_bytes_per_second, row.network_transmit_bytes_per_second);
/** Bytes that it reads and writes each second; the same. */
export const disk = (row) => both(row.disk_read_bytes_per_second, row.disk_write_bytes_per_second);
