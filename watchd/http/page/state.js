// State and rates of a container, for display.

const ORDER = ["running", "paused", "restarting", "removing", "created", "exited", "dead"]; // in the order of sorting
const GONE = new Set(["exited", "dead", "created", "removing"]);

/** Whether the container runs or is paused. */
export const runs = (row) => !GONE.has(row.state);

/** Sort key of its state. */
export const rank = (row) => ORDER.indexOf(row.state);

/** Style of its state: "good", "warns", "bad" or "quiet". */
export function tone(row) {
  if (row.health === "unhealthy" || row.state === "dead" || row.oom_killed) return "bad";
  if (row.state === "exited") return row.exit_code ? "warns" : "quiet";
  if (row.state === "paused" || row.state === "restarting" || row.health === "starting") return "warns";
  return row.state === "running" ? "good" : "quiet";
}

/** Text of its state: "exited (137), out of memory". */
export function stateOf(row) {
  const code = row.state === "exited" && row.exit_code !== null ? ` (${row.exit_code})` : "";
  const health = row.health && runs(row) ? `, ${row.health}` : "";
  return `${row.state}${code}${health}${row.oom_killed ? ", out of memory" : ""}`;
}

/** Start of its state, in seconds since the epoch. */
export function since(row) {
  return (runs(row) ? row.started_at : row.finished_at) ?? row.created_at;
}

const both = (one, other) => (one === null && other === null ? null : (one ?? 0) + (other ?? 0));

/** Bytes received and sent per second; null if both are unknown. */
export const network = (row) => both(row.network_receive_bytes_per_second, row.network_transmit_bytes_per_second);
/** Bytes read and written per second; null if both are unknown. */
export const disk = (row) => both(row.disk_read_bytes_per_second, row.disk_write_bytes_per_second);
