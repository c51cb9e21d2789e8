// The last quarter of an hour of all containers, and small graphs of it.

import { drawing } from "../element.js";

const STEP = 15; // seconds from one point to the next
const POINTS = 60;
const FEWEST = 12; // that a graph has room for, before so many are known
const HEIGHT = 18;

/** Points of each container by ID, from the answers of `series`. */
export class Tails {
  constructor() {
    this.known = new Map();
    this.takenAt = 0; // milliseconds
    this.span = FEWEST; // points from the oldest that is known of any container until the newest
  }

  /** Path of the next request: only the points since the last one. */
  path = () => {
    const missing = Math.ceil((Date.now() - this.takenAt) / 1000 / STEP) + 2;
    return `api/v1/series?points=${Math.min(POINTS, missing)}`;
  };

  /** Take an answer. */
  take({ containers }) {
    const taken = new Map();
    for (const [id, { end, series }] of Object.entries(containers)) {
      const before = this.known.get(id);
      taken.set(id, { end, series: mapped(series, (name, points) => joined(before, name, points, end)) });
    }
    this.known = taken;
    this.takenAt = Date.now();
    const lists = [...taken.values()].flatMap(({ series }) => Object.values(series));
    this.span = Math.max(FEWEST, ...lists.map(knownOf));
  }

  /** The last `span` points of one series of some containers, summed; the newest last, null where none is known. */
  sum(ids, name) {
    const lists = ids.map((id) => this.known.get(id)).filter(Boolean);
    const end = Math.max(0, ...lists.map((list) => list.end));
    const total = Array(POINTS).fill(null);
    for (const { end: its, series } of lists) {
      const shift = POINTS - series[name].length - Math.round((end - its) / STEP); // one that ended is behind
      series[name].forEach((value, place) => {
        if (value !== null && place + shift >= 0) total[place + shift] = (total[place + shift] ?? 0) + value;
      });
    }
    return total.slice(-this.span);
  }
}

/** Number of points from the first that is known. */
function knownOf(points) {
  const first = points.findIndex((value) => value !== null);
  return first < 0 ? 0 : points.length - first;
}

const mapped = (object, to) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, to(name, value)]));

/** Return the points known before and the new ones as one list. */
function joined(before, name, points, end) {
  if (!before) return points.slice(-POINTS);
  const added = Math.round((end - before.end) / STEP);
  if (added < 0 || added > points.length) return points.slice(-POINTS);
  const kept = before.series[name].slice(0, Math.max(0, before.series[name].length - (points.length - added)));
  return [...kept, ...points].slice(-POINTS);
}

/** Create a small graph. Hidden from screen readers: the latest number stands beside it. */
export function spark(colour) {
  const attributes = { preserveAspectRatio: "none", "aria-hidden": "true" };
  return drawing("svg", { class: `spark ${colour}`, ...attributes }, drawing("path"));
}

/** Draw points into a small graph whose scale ends at the largest of them, at least at `least`. */
export function drawSpark(node, points, least) {
  const top = Math.max(least, ...points.map((value) => value ?? 0)) * 1.05;
  let path = "";
  let from = null; // where the current line began
  points.forEach((value, x) => {
    if (value !== null) {
      const y = (HEIGHT - (value / top) * HEIGHT).toFixed(1);
      path += from === null ? `M${x} ${HEIGHT}L${x} ${y}` : `L${x} ${y}`;
      from ??= x;
    }
    if (from !== null && (value === null || x === points.length - 1)) {
      path += `L${value === null ? x - 1 : x} ${HEIGHT}Z`;
      from = null;
    }
  });
  if (node.drawn === path && node.points === points.length) return;
  node.setAttribute("viewBox", `0 0 ${points.length - 1} ${HEIGHT}`);
  node.firstChild.setAttribute("d", path);
  node.drawn = path;
  node.points = points.length;
}
