// Tiles with totals of the host.

import { bar, element } from "./element.js";
import * as format from "./format.js";
import { runs } from "./state.js";

/** Yield the tiles for the answers of `containers`, `disk` and `next` received so far. */
export function* summary({ containers: all, disk: disks, next }) {
  if (all) {
    const running = all.containers.filter(runs);
    const sum = (field) => running.reduce((total, row) => total + (row[field] ?? 0), 0);
    const { cpus, memory_bytes: memory, cpu_cores: used, memory_used_bytes: taken } = all.host ?? {};
    yield tile("Running", `${running.length}`, `of ${format.plural("container", all.containers.length)}`);
    const cpu = used ?? sum("cpu_cores");
    yield tile("CPU", format.cores(cpu), cpus ? `of ${cpus} cores` : "cores", cpus ? cpu / cpus : null, Infinity);
    const held = taken ?? sum("memory_bytes");
    yield tile("Memory", format.bytes(held), memory ? `of ${format.bytes(memory)}` : "", memory ? held / memory : null);
  }
  for (const each of disks?.disks ?? []) {
    yield tile(
      "Disk",
      format.bytes(each.used_bytes),
      `of ${format.bytes(each.size_bytes)}`,
      each.used_bytes / each.size_bytes,
    );
  }
  if (next?.at) yield tile("Next run", `in ${format.duration(next.at - Date.now() / 1000)}`, promise(next));
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
  return `of ${format.plural("policy", policies.length)}: nothing to remove`;
}

/** Tile with a number, and a bar if it has a share; the bar is red above `full`. */
function tile(name, value, of, share = null, full = 0.9) {
  return element(
    "div",
    { class: "tile" },
    element("dt", {}, name),
    element(
      "dd",
      {},
      element("strong", {}, value),
      " ",
      element("span", { class: "of" }, of),
      share === null ? null : bar(share, share > full ? "full" : ""),
    ),
  );
}
