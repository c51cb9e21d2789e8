// Sections of a container's page: facts, limits, ports, mounts, networks, health, exits, events.

import { bar, element, smallTable } from "../element.js";
import * as format from "../format.js";
import { isNoise, repeated, words } from "./event-rows.js";
import { disk, network, runs, since, stateOf, tone } from "./state.js";

const MOST_EVENTS = 15;

const code = (text) => element("code", {}, text);

/** A command as it would be written in a shell. */
function written(words) {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}

/** Yield the facts of a container; `details` is null until they are known. */
export function* factRows(row, details, now) {
  const project = [row.compose_project, row.compose_service].filter(Boolean).join(" / ");
  const facts = [
    ["State", element("span", { class: `state ${tone(row)}` }, `${stateOf(row)}, for ${format.ago(since(row), now)}`)],
    ["Image", image(row, details)],
    ["Command", details && code(written(details.command))],
    ["Works in", details?.working_directory && code(details.working_directory)],
    ["User", details?.user && code(details.user)],
    ["Restarts", restarts(row, details)],
    ["Ports", details?.ports.length ? ports(details.ports) : null],
    ["Compose", project],
    ["Created", format.moment(row.created_at)],
    ["ID", code(format.short(row.id))],
    ["Network now", network(row) !== null && flow(row.network_receive_bytes_per_second, row.network_transmit_bytes_per_second, "in", "out")],
    ["Disk now", disk(row) !== null && flow(row.disk_read_bytes_per_second, row.disk_write_bytes_per_second, "read", "written")],
    ["Writable layer", details?.writable_layer_bytes != null && format.bytes(details.writable_layer_bytes)],
    ["Log driver", details?.log_driver],
    ["Log", row.log_bytes !== null && format.bytes(row.log_bytes)],
    ["Log limit", row.log_limit_bytes !== null && (row.log_limit_bytes ? format.bytes(row.log_limit_bytes) : "none set")],
  ];
  for (const [name, value] of facts) {
    if (value) yield element("div", {}, element("dt", {}, name), element("dd", {}, value));
  }
}

const flow = (one, other, word, otherWord) => `${format.rate(one)} ${word}, ${format.rate(other)} ${otherWord}`;

function image(row, details) {
  const newer = (details?.image.newer ?? []).map(({ reference, id, created_at: built }) =>
    element(
      "span",
      { class: "beneath newer" },
      reference === row.image ? "newer here under this tag: " : `newer here: ${reference}, `,
      code(format.short(id)),
      built ? `, built ${format.ago(built)} ago` : "",
    ),
  );
  const built = details?.image.created_at;
  return [
    row.image,
    element("span", { class: "beneath" }, details ? code(format.short(details.image.id)) : "", built ? ` built ${format.ago(built)} ago` : ""),
    ...newer,
  ];
}

function restarts(row, details) {
  const policy = details?.restart.policy ?? row.restart_policy;
  const most = details?.restart.max_retries ? `, ${details.restart.max_retries} times at most` : "";
  return `${format.count(row.restarts)} (policy ${policy ?? "unknown"}${most})`;
}

function ports(list) {
  return list.map((each) => {
    const address = each.host_ip.includes(":") ? `[${each.host_ip}]` : each.host_ip;
    return element("span", { class: "line" }, code(`${address}:${each.host_port} → ${each.port}`));
  });
}

/** Yield what is used of each limit. */
export function* used(row, details) {
  if (!runs(row)) return;
  const limits = details?.limits;
  const throttled = row.throttled ? `throttled ${format.percent(row.throttled)} of the time` : "";
  const parts = [
    ["CPU, cores", row.cpu_cores, row.cpu_limit_cores ?? limits?.cpu_cores, format.cores, throttled],
    ["Memory", row.memory_bytes, row.memory_limit_bytes ?? limits?.memory_bytes, format.memory, ""],
    ["Processes", row.processes, row.processes_limit ?? limits?.processes, format.count, ""],
  ];
  const meters = parts.filter(([, value]) => value !== null).map((part) => meter(...part));
  yield element("div", { class: "meters" }, meters);
  const reserved = limits?.memory_reservation_bytes;
  if (reserved) yield element("p", { class: "more" }, `Memory reservation: ${format.memory(reserved)}`);
}

function meter(name, value, limit, shown, note) {
  const share = limit ? value / limit : null;
  const text = limit ? format.ofLimit(shown, value, limit) : `${shown(value)}, no limit`;
  return element(
    "div",
    { class: "meter" },
    element("span", { class: "title" }, name),
    element("strong", {}, text),
    share === null ? null : bar(share, share > 0.9 ? "full" : ""),
    note && element("span", { class: "badge warns" }, note),
  );
}

/** Yield the sections for the details of a container. */
export function* sections(details) {
  yield section("Networks", networks(details));
  yield section("Mounts", mounts(details.mounts));
  if (details.health) yield section("Health", health(details.health));
  yield section("Exits of the last 7 days", exits(details.exits));
}

function section(title, ...content) {
  return element("section", { class: "card" }, element("h2", {}, title), content);
}

const none = (text) => element("p", { class: "more" }, text);

function networks({ networks: all, network_mode: mode }) {
  if (!all.length) return none(mode.startsWith("container:") ? "That of another container." : `Mode ${mode}.`);
  return smallTable(
    "Networks and addresses",
    ["Network", "Address"],
    all.map(({ network: name, ipv4, ipv6 }) => [
      element("a", { href: `#networks?filter=${encodeURIComponent(name)}` }, name),
      [ipv4, ipv6].filter(Boolean).join(", ") || "none while it does not run",
    ]),
  );
}

function mounts(all) {
  if (!all.length) return none("None.");
  return smallTable(
    "Mounts",
    ["In the container", "From", "Size"],
    all.map((mount) => [
      code(mount.destination),
      [
        mount.name ? format.short64(mount.name) : code(mount.source || mount.type),
        element("span", { class: "beneath" }, [mount.type, mount.read_only && "read-only", others(mount)].filter(Boolean).join(", ")),
      ],
      mount.type === "volume" ? format.bytes(mount.bytes) : "",
    ]),
  );
}

function others({ name, mounted_in: names }) {
  return name && names.length > 1 ? `in ${format.plural("container", names.length)}: ${names.join(", ")}` : "";
}

function health({ status, command, interval, failing_streak: streak, checks }) {
  const [kind, ...words] = command;
  const text = kind === "CMD-SHELL" ? words.join(" ") : written(kind === "CMD" ? words : command);
  return [
    element(
      "p",
      {},
      element("span", { class: `state ${status === "unhealthy" ? "bad" : status === "healthy" ? "good" : "warns"}` }, status),
      streak ? `, failed ${streak} times in a row` : "",
      text && [", checked every ", format.duration(interval), " with ", code(text)],
    ),
    checks.map((check, place) =>
      element(
        "details",
        { class: "check", open: place === 0 && check.exit_code !== 0 },
        element("summary", {}, `${format.lately(check.started_at)}: ${check.exit_code ? `failed (${check.exit_code})` : "passed"}`),
        element("pre", { tabindex: "0" }, check.output.trim() || "no output"),
      ),
    ),
  ];
}

function exits(all) {
  if (!all.length) return none("None on record.");
  return smallTable(
    "Exits",
    ["Ended", "Exit code", "Ran for"],
    all.map((each) => [
      format.lately(each.ended_at),
      format.count(each.exit_code),
      each.started_at === null ? format.UNKNOWN : format.duration(each.ended_at - each.started_at),
    ]),
  );
}

/** Yield the latest events of a container. */
export function* eventsOf(events) {
  const shown = repeated(events.filter((event) => !isNoise(event))).slice(0, MOST_EVENTS);
  if (!shown.length) {
    yield none("None among the last 200 of the engine.");
    return;
  }
  yield smallTable(
    "Events, the newest first",
    ["Time", "Event"],
    shown.map((event) => [
      format.lately(event.time),
      [words(event), event.times > 1 ? ` ${event.times} times since ${format.lately(event.first)}` : ""],
    ]),
  );
}
