// State, problems and rates of a container, for display.

import * as format from "../format.js";

const ORDER = ["running", "paused", "restarting", "removing", "created", "exited", "dead"]; // in the order of sorting
const GONE = new Set(["exited", "dead", "created", "removing"]);
const MUCH = 0.9; // of a limit
const THROTTLED = { from: 0.25, until: 0.2 }; // of the periods of a CPU quota; two, or it would come and go in between
const LARGE = 1e9; // bytes an hour that a writable layer grows
const LOG_GROWTH = 2 ** 30 / 24; // bytes an hour that a log without a limit grows: 1 GiB a day
const LOG_LARGE = 1e9; // bytes of a log without a limit
const LOG_NOTED = 1e8; // bytes from which its growth counts

const throttled = new Set(); // IDs

/** Whether the container runs or is paused. */
export const runs = (row) => !GONE.has(row.state);

/** Style of its state: "good", "warns", "bad" or "quiet". */
export function tone(row) {
  if (row.health === "unhealthy" || row.state === "dead" || row.state === "restarting" || row.oom_killed) return "bad";
  if (row.state === "exited") return row.exit_code ? "warns" : "quiet";
  if (row.state === "paused" || row.health === "starting") return "warns";
  return row.state === "running" ? "good" : "quiet";
}

/** Text of its state: "exited (137), out of memory", "restarting (7 times)". */
export function stateOf(row) {
  const code = row.state === "exited" && row.exit_code !== null ? ` (${row.exit_code})` : "";
  const times = row.state === "restarting" && row.restarts ? ` (${format.plural("time", row.restarts)})` : "";
  const health = row.health && runs(row) ? `, ${row.health}` : "";
  return `${row.state}${code}${times}${health}${row.oom_killed ? ", out of memory" : ""}`;
}

/** The same as short as it can be: that it runs goes without saying where it is unhealthy. */
export function shortStateOf(row) {
  if (row.state === "running" && row.health === "unhealthy" && !row.oom_killed) return row.health;
  if (row.state === "exited" && row.oom_killed) return `out of memory${row.exit_code === null ? "" : ` (${row.exit_code})`}`;
  return stateOf(row);
}

/** Start of its state, in seconds since the epoch. */
export function since(row) {
  return (runs(row) ? row.started_at : row.finished_at) ?? row.created_at;
}

/** What is wrong with a container: [style, text, whether its state says so already, short text], the worst first. */
export function problemsOf(row) {
  const found = [];
  if (row.health === "unhealthy" && runs(row)) found.push(["bad", "unhealthy", true]);
  if (row.oom_killed) found.push(["bad", "out of memory", true]);
  if (row.state === "dead") found.push(["bad", "dead", true]);
  if (row.state === "restarting") found.push(["bad", "restarting", true]);
  if (row.state === "exited" && row.exit_code && (row.restart_policy ?? "no") !== "no" && !row.oom_killed)
    found.push(["bad", `down, restart policy ${row.restart_policy}`, false, "down"]);
  if (isThrottled(row)) found.push(["warns", `throttled ${format.percent(row.throttled)}`]);
  const held = row.memory_limit_bytes ? row.memory_bytes / row.memory_limit_bytes : 0;
  if (held > MUCH)
    found.push(["warns", `memory at ${format.percent(held)} of its limit`, false, `memory ${format.percent(held)}`]);
  const share = row.processes_limit ? row.processes / row.processes_limit : 0;
  if (share > MUCH)
    found.push(["warns", `processes at ${format.percent(share)} of their limit`, false, `processes ${format.percent(share)}`]);
  if (row.writable_layer_growth_bytes_per_hour > LARGE)
    found.push(["warns", `grows by ${format.bytes(row.writable_layer_growth_bytes_per_hour)} an hour`]);
  const log = logProblem(row);
  if (log) found.push(["warns", log, false, log.replace(" grows by ", " +").replace(", without a limit", "")]);
  return found;
}

function isThrottled({ id, throttled: share }) {
  if (share > THROTTLED.from) throttled.add(id);
  else if (!(share > THROTTLED.until)) throttled.delete(id);
  return throttled.has(id);
}

/** Problem with the log of a container that has no limit, "" if there is none. */
export function logProblem(row) {
  if (row.log_limit_bytes !== 0) return "";
  if (row.log_bytes > LOG_NOTED && row.log_growth_bytes_per_hour > LOG_GROWTH)
    return `log grows by ${format.bytes(24 * row.log_growth_bytes_per_hour)} a day, without a limit`;
  return row.log_bytes > LOG_LARGE ? `log of ${format.bytes(row.log_bytes)}, without a limit` : "";
}

/** Sort key of its state: problems first, then as `ORDER` has them. */
export function rank(row) {
  const [worst] = problemsOf(row);
  const level = worst ? (worst[0] === "bad" ? 0 : 1) : 2;
  return level * ORDER.length + ORDER.indexOf(row.state);
}

/** Sum of two values; null if both are unknown. */
export const both = (one, other) => (one === null && other === null ? null : (one ?? 0) + (other ?? 0));

/** Bytes received and sent per second; null if both are unknown. */
export const network = (row) => both(row.network_receive_bytes_per_second, row.network_transmit_bytes_per_second);
/** Bytes read and written per second; null if both are unknown. */
export const disk = (row) => both(row.disk_read_bytes_per_second, row.disk_write_bytes_per_second);
