// Tiles with totals of the host, and what is wrong with the host itself.

import { bar, element } from "../element.js";
import * as format from "../format.js";
import { problemsOf, runs } from "./state.js";

const SOON_FULL = 7 * 86400; // seconds
const REGRETTED_DAYS = 7;

/** Yield the tiles for the answers of `containers`, `disk`, `next` and `history` received so far. */
export function* tiles(answers, isPressed, showProblems) {
  const { containers: all, disk: disks, next } = answers;
  if (!all) return;
  yield problems(answers, isPressed, showProblems);
  const running = all.containers.filter(runs);
  const sum = (field) => running.reduce((total, row) => total + (row[field] ?? 0), 0);
  const { cpus, memory_bytes: memory, cpu_cores: used, memory_used_bytes: taken } = all.host ?? {};
  yield tile("Running", `${running.length}`, `of ${format.plural("container", all.containers.length)}`);
  const cpu = used ?? sum("cpu_cores");
  yield tile("CPU", format.cores(cpu), cpus ? `of ${cpus} cores` : "cores", cpus ? cpu / cpus : null, Infinity);
  const held = taken ?? sum("memory_bytes");
  yield tile("Memory", format.memory(held), memory ? `of ${format.memory(memory)}` : "", memory ? held / memory : null);
  for (const each of disks?.disks ?? []) {
    const share = each.used_bytes / each.size_bytes;
    yield tile("Disk", format.bytes(each.used_bytes), `of ${format.bytes(each.size_bytes)}`, share);
  }
  if (next?.at) yield tile("Next run", `in ${format.duration(next.at - Date.now() / 1000)}`, promise(next));
}

/** Tile that counts what is wrong, and shows only that when it is pressed. */
function problems(answers, isPressed, showProblems) {
  const troubled = answers.containers.containers.filter((row) => problemsOf(row).length).length;
  const number = troubled + hostProblems(answers).length;
  const words = troubled ? `in ${format.plural("container", troubled)}` : number ? "see below" : "all is well";
  const attributes = { type: "button", class: `tile problems ${number ? "some" : "none"}`, onclick: showProblems };
  return element(
    "button",
    { ...attributes, "aria-pressed": String(isPressed), title: "Show only containers with problems" },
    element("span", { class: "title" }, "Problems"),
    " ",
    element("strong", {}, String(number)),
    " ",
    element("span", { class: "of" }, isPressed ? "shown alone" : words),
  );
}

/** Yield what is wrong beyond single containers, each a line. */
export function* notices(answers) {
  for (const [text, address] of hostProblems(answers)) {
    yield element("li", {}, element("a", { href: address }, text));
  }
}

function hostProblems({ containers, disk, next, regretted }) {
  const found = [];
  if (containers?.engine_up === false) found.push(["The engine does not answer", "#events"]);
  for (const { policy, ran_at: ran } of next?.failed ?? []) {
    found.push([`The last run of policy ${policy}, ${format.ago(ran)} ago, did not succeed`, "#history"]);
  }
  for (const [policy, { count, mode }] of regrets(regretted?.rows ?? [])) {
    const took = mode === "report" ? "would have removed" : "removed";
    const objects = `${count} ${count === 1 ? "object that was" : "objects that were"}`;
    found.push([`Policy ${policy} ${took} ${objects} needed again in the last ${REGRETTED_DAYS} days`, "#history"]);
  }
  for (const { path, used_bytes: used, full_at: full, marks } of disk?.disks ?? []) {
    const above = marks.filter((mark) => used > mark.high).map((mark) => mark.policy);
    if (above.length) found.push([`${path} is above the high mark of ${above.join(", ")}`, "#disk"]);
    const left = full ? full - Date.now() / 1000 : Infinity;
    if (left < SOON_FULL) found.push([`${path} is full in ${format.duration(left)} at the pace of the last days`, "#disk"]);
  }
  return found;
}

/** Return the policies that were regretted lately, by name: how many objects, and the mode of the last one. */
function regrets(rows) {
  const since = Date.now() / 1000 - REGRETTED_DAYS * 86400;
  const policies = new Map();
  for (const { policy, mode, regretted_at: at } of rows) {
    if (format.seconds(at) < since) continue;
    policies.set(policy, { count: (policies.get(policy)?.count ?? 0) + 1, mode });
  }
  return policies;
}

/** Text for what the next run would do. */
function promise({ policies, would_remove: going, would_report: told }) {
  const counted = (kinds) =>
    Object.entries(kinds)
      .map(([kind, { count }]) => format.plural(kind, count))
      .join(", ");
  if (Object.keys(going).length)
    return `would remove ${counted(going)}, ${format.about(format.total(Object.values(going)))}`;
  if (Object.keys(told).length) return `would only report ${counted(told)}`;
  return `nothing to remove by ${format.plural("policy", policies.length)}`;
}

/** Tile with a number, and a bar if it has a share; the bar is red above `full`. */
function tile(name, value, of, share = null, full = 0.9) {
  return element(
    "div",
    { class: "tile" },
    element("span", { class: "title" }, name),
    " ",
    element("strong", {}, value),
    " ",
    element("span", { class: "of" }, of),
    share === null ? null : bar(share, share > full ? "full" : ""),
  );
}
