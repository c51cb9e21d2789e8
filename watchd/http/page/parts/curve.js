// Curve of thresholds: the bytes kept and the regrets of each, one below the other, over a logarithmic axis of time.

import { drawing, element } from "../element.js";
import * as format from "../format.js";

const [HOUR, DAY] = [3600, 86400]; // seconds
const [FIRST, LAST] = [HOUR, 90 * DAY];
const TICKS = [HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY, 90 * DAY];
const [LEFT, RIGHT] = [62, 16]; // pixels beside the lines
const PANELS = { kept: [24, 114], regrets: [142, 202] }; // top and bottom
const HEIGHT = 228;

/** Curve of one kind as `watchd advise --json` tells of it, drawn anew whenever its width changes. */
export class Curve {
  constructor(title, of) {
    this.of = of;
    this.drawing = drawing("svg", { class: "curve", role: "img", "aria-label": summary(title, of) });
    this.node = element("div", { class: "curve-frame" }, this.drawing);
    this.sized = new ResizeObserver(() => this.#draw(this.node.clientWidth));
    this.sized.observe(this.node);
  }

  /** Stop following the width. */
  close() {
    this.sized.disconnect();
  }

  #draw(width) {
    if (!width) return; // it is folded
    const right = width - RIGHT;
    const share = (seconds) => Math.log(seconds / FIRST) / Math.log(LAST / FIRST);
    const across = (seconds) => LEFT + Math.min(1, Math.max(0, share(seconds))) * (right - LEFT);
    const { thresholds, mean_bytes: all, recommended, today_seconds: today } = this.of;
    const takesBytes = all > 0 || thresholds.some((each) => each.mean_bytes);
    const [top, bottom] = [takesBytes ? PANELS.kept[0] : PANELS.regrets[0], PANELS.regrets[1]];
    const from = top - PANELS.kept[0]; // networks take no bytes
    const upright = (kind) => (seconds) =>
      drawing("line", { class: `at ${kind}`, x1: across(seconds), x2: across(seconds), y1: top - 6, y2: bottom });
    this.drawing.setAttribute("width", width);
    this.drawing.setAttribute("height", HEIGHT - from);
    this.drawing.setAttribute("viewBox", `0 ${from} ${width} ${HEIGHT - from}`);
    this.drawing.replaceChildren(
      ...(takesBytes ? panel("kept", "Bytes kept", thresholds, "mean_bytes", format.bytes, across, right, all) : []),
      ...panel("regrets", "Regrets", thresholds, "regrets", format.count, across, right),
      ...today.map(upright("today")),
      ...(recommended ? [recommended.seconds].map(upright("recommended")) : []),
      ...TICKS.map((seconds) => text(across(seconds), HEIGHT - 6, format.duration(seconds), "middle")),
    );
  }
}

/** Yield the lines of one series. `all` is the value without any removal. */
function* panel(name, title, thresholds, key, words, across, right, all = 0) {
  const [top, bottom] = PANELS[name];
  const points = thresholds.filter((each) => each[key] !== null);
  const most = Math.max(1, all, ...points.map((each) => each[key]));
  const down = (value) => bottom - (value / most) * (bottom - top);
  yield text(LEFT, top - 9, title, "start");
  for (const value of [0, most]) {
    yield text(LEFT - 8, down(value) + 4, words(value), "end");
    yield drawing("line", { class: "grid", x1: LEFT, x2: right, y1: down(value), y2: down(value) });
  }
  const places = points.map((each) => [across(each.seconds), down(each[key])]);
  if (!places.length) return;
  const line = places.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
  const ends = [places.at(-1)[0], places[0][0]].map((x) => `${x.toFixed(1)} ${bottom}`).join("L");
  yield drawing("path", { class: `area ${name}`, d: `M${line}L${ends}Z` });
  yield drawing("path", { class: `course ${name}`, d: `M${line}` });
  for (const [place, each] of points.entries()) {
    const told = drawing("title");
    told.textContent = `${format.duration(each.seconds)}: ${words(each[key])}`;
    yield drawing("circle", { class: `point ${name}`, cx: places[place][0], cy: places[place][1], r: 3.5 }, told);
  }
}

function text(x, y, content, anchor) {
  const made = drawing("text", { x, y, "text-anchor": anchor });
  made.textContent = content;
  return made;
}

function summary(title, { recommended, today_seconds: today }) {
  const marks = [
    recommended && `recommended: ${format.duration(recommended.seconds)}`,
    today.length && `today: ${today.map(format.duration).join(", ")}`,
  ];
  return [`${title}: bytes kept and regrets by threshold`, ...marks.filter(Boolean)].join("; ");
}
