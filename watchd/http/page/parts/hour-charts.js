// Charts of the last hour of one container.

import { element } from "../element.js";
import * as format from "../format.js";
import { Chart } from "./chart.js";

const CHARTS = {
  cpu_cores: { title: "CPU, cores", colour: "one", format: format.cores, least: 0.1 },
  throttled: { title: "CPU, throttled", colour: "four", format: format.percent, least: 0.1 },
  memory_bytes: { title: "Memory, working set", colour: "two", format: format.memory, least: 1 << 20, binary: true },
  network_bytes_per_second: { title: "Network", colour: "three", format: format.rate, least: 1000 },
  disk_bytes_per_second: { title: "Disk", colour: "five", format: format.rate, least: 1000 },
};
const SPAN = 3600; // seconds on a chart

export class HourCharts {
  constructor() {
    this.note = element("p", { class: "more" });
    this.charts = element("div", { class: "charts" });
    this.node = element("div", {}, this.note, this.charts);
    this.drawn = {};
    this.measured = null; // the latest answer of `series`
    this.isRunning = true;
    this.now = 0;
  }

  /** Note the time, and whether the container runs. */
  at(now, isRunning) {
    this.now = now;
    const changes = this.isRunning !== isRunning;
    this.isRunning = isRunning;
    if (changes) this.draw();
  }

  /** Show an answer of `series`. */
  show(answer) {
    this.measured = answer;
    this.draw();
  }

  draw() {
    if (this.measured === null) return;
    const { step, series, end: last } = this.measured;
    const most = SPAN / step;
    // A stopped container has no values from its last point until now.
    const unknown = this.isRunning || last === null ? 0 : Math.max(0, Math.ceil((this.now - last) / step));
    const end = last + unknown * step;
    let place = 0;
    for (const [name, options] of Object.entries(CHARTS)) {
      const values = [...series[name], ...Array(Math.min(unknown, most)).fill(null)].slice(-most);
      if (values.every((value) => value === null)) {
        this.drawn[name]?.close();
        delete this.drawn[name];
        continue;
      }
      if (values.length < 2) values.unshift(null); // of a single time uPlot makes a day
      if (!this.drawn[name]) {
        this.drawn[name] = new Chart({ ...options, series: [{ label: options.title, colour: options.colour }] });
        this.charts.insertBefore(this.drawn[name].node, this.charts.children[place] ?? null);
      }
      place += 1;
      this.drawn[name].show(
        values.map((_value, at) => end - step * (values.length - 1 - at)),
        [values],
      );
    }
    this.note.textContent = place ? "" : "No measurements: it does not run, or [metrics] leaves it out.";
  }

  close() {
    Object.values(this.drawn).forEach((chart) => chart.close());
  }
}
