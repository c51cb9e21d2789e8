// Charts, drawn by uPlot with the colours of the style sheet, so that they follow light and dark mode.

import { element } from "../element.js";
import { day, minute } from "../format.js";
import uPlot from "../uplot/uPlot.esm.js";

const DARK = matchMedia("(prefers-color-scheme: dark)");
const HEIGHT = 150; // pixels
const DAYS = [1, 2, 7, 14, 28].map((days) => days * 86400); // seconds
const MINUTES = [1, 2, 5, 10, 15, 30, 60].map((minutes) => minutes * 60);
const POWERS = Array.from({ length: 50 }, (_, power) => 2 ** power);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const faded = (name) => `color-mix(in srgb, ${colour(name)} 16%, transparent)`;

/**
 * Chart with a title (a heading of `level`) and a readout of the values at the cursor or the latest. `series`: {label,
 * colour}; `format`: formats values; `bars`: a bar per day instead of lines; `least`: minimum of the scale; `when`: formats
 * times; `binary`: ticks at powers of two.
 */
export class Chart {
  constructor({ title, level = "h3", series, format, least = 1, bars = false, when = bars ? day : minute, binary = false }) {
    Object.assign(this, { title, series, format, least, bars, when, binary });
    this.readout = element("span", { class: "readout" });
    this.canvas = element("div", { class: "canvas", role: "img" });
    const top = element("figcaption", {}, element(level, {}, title), this.readout);
    this.node = element("figure", { class: "chart" }, top, this.canvas);
    this.plot = null;
    this.repaint = () => this.plot?.redraw(false);
    this.sized = new ResizeObserver(() => this.#resize());
  }

  /** Show values (null: none) at times (seconds since the epoch), a list per series. */
  show(times, lists) {
    this.times = times;
    this.lists = lists;
    if (this.plot) {
      this.plot.setData([times, ...lists]);
    } else {
      this.plot = new uPlot(this.#options(), [times, ...lists], this.canvas);
      this.sized.observe(this.canvas);
      DARK.addEventListener("change", this.repaint);
    }
    this.#read(null);
    this.canvas.setAttribute("aria-label", `${this.title}: ${this.#summary()}`);
  }

  /** Remove the chart and its listeners. */
  close() {
    this.sized.disconnect();
    DARK.removeEventListener("change", this.repaint);
    this.plot?.destroy();
    this.node.remove();
  }

  #options() {
    const axis = {
      stroke: () => colour("faint"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: () => colour("line"), width: 1 },
      ticks: { show: false },
    };
    const incrs = this.when === day ? DAYS : MINUTES; // labels have nothing smaller
    return {
      width: this.canvas.clientWidth || 300,
      height: HEIGHT,
      padding: [8, 16, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      hooks: { setCursor: [(plot) => this.#read(plot.cursor.idx)] },
      scales: {
        x: { range: (_plot, first, last) => this.#span(first, last) },
        y: { range: (_plot, _low, high) => [0, Math.max(high ?? 0, this.least) * 1.08] },
      },
      axes: [
        { ...axis, space: 60, size: 26, grid: { show: false }, values: (_plot, times) => times.map(this.when), incrs },
        { ...axis, space: 28, size: 58, values: (_plot, values) => values.map(this.format), ...(this.binary && { incrs: POWERS }) },
      ],
      series: [
        {},
        ...this.series.map((one) => ({
          label: one.label,
          stroke: () => colour(one.colour),
          fill: () => (this.bars ? colour(one.colour) : faded(one.colour)),
          width: this.bars ? 0 : 1.5,
          points: { show: false },
          spanGaps: false,
          ...(this.bars && { paths: uPlot.paths.bars({ size: [0.7, 48], radius: 0.15 }) }),
        })),
      ],
    };
  }

  /** Range of the time axis: whole days, or the known part of the last hour, at least three minutes. */
  #span(first, last) {
    return this.bars ? [first - 43200, last + 43200] : [Math.min(first, last - 180), last];
  }

  #resize() {
    const width = this.canvas.clientWidth;
    if (this.plot && width && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  /** Show the values at an index in the readout; null: the latest, or the sum of bars. */
  #read(place) {
    if (place === null || place === undefined) {
      this.readout.textContent = this.#summary();
      return;
    }
    const values = this.lists.map((list) => this.format(list[place]));
    this.readout.textContent = `${this.when(this.times[place])} · ${values.join(" / ")}`;
  }

  #summary() {
    const known = (value) => value !== null && value !== undefined;
    const list = this.lists[0].filter(known);
    if (!list.length) return "nothing yet";
    if (this.bars) return `${this.format(list.reduce((sum, value) => sum + value, 0))} in all`;
    const when = known(this.lists[0].at(-1)) ? "now" : "last";
    return `${this.format(list.at(-1))} ${when}, ${this.format(Math.max(...list))} at most`;
  }
}
