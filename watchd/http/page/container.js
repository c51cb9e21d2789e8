// View of one container: its last hour, and its explanation.

import { follow } from "./asking.js";
import { Chart } from "./chart.js";
import { remember } from "./containers.js";
import { element, heading } from "./element.js";
import { explained } from "./explanation.js";
import * as format from "./format.js";
import { disk, network, runs, since, stateOf, tone } from "./state.js";

const CHARTS = {
  cpu_cores: { title: "CPU, cores", colour: "one", format: format.cores, least: 0.1 },
  throttled: { title: "CPU, throttled", colour: "four", format: format.percent, least: 0.1 },
  memory_bytes: { title: "Memory, working set", colour: "two", format: format.bytes, least: 1e6 },
  network_bytes_per_second: { title: "Network", colour: "three", format: format.rate, least: 1000 },
  disk_bytes_per_second: { title: "Disk", colour: "five", format: format.rate, least: 1000 },
};

const SPAN = 3600; // seconds on a chart

/** Show the view of a container. Return a function that ends it. */
export function container(view, id) {
  remember(id);
  let seen = null; // the latest data of the container
  const title = heading(format.short(id));
  const facts = element("dl", { class: "facts" });
  const charts = element("div", { class: "charts" });
  const note = element("p", { class: "more" });
  const drawn = {};
  const ended = new AbortController();
  let measured = null; // the latest answer of `series`
  let isRunning = true; // according to the latest data
  let now = 0;
  view.append(
    element("p", { class: "back" }, element("a", { href: "#containers" }, "← Containers")),
    title,
    facts,
    element("h2", {}, "The last hour"),
    note,
    charts,
    element("h2", {}, "What cleaning says of it"),
    explained("container", id, ended.signal),
  );

  function draw() {
    if (measured === null) return;
    const { step, series } = measured;
    const most = SPAN / step;
    // A stopped container has no values from its last point until now.
    const unknown = isRunning || measured.end === null ? 0 : Math.max(0, Math.ceil((now - measured.end) / step));
    const end = measured.end + unknown * step;
    let place = 0;
    for (const [name, options] of Object.entries(CHARTS)) {
      const values = [...series[name], ...Array(Math.min(unknown, most)).fill(null)].slice(-most);
      if (values.every((value) => value === null)) {
        drawn[name]?.close();
        delete drawn[name];
        continue;
      }
      if (!drawn[name]) {
        drawn[name] = new Chart({ ...options, series: [{ label: options.title, colour: options.colour }] });
        charts.insertBefore(drawn[name].node, charts.children[place] ?? null);
      }
      place += 1;
      drawn[name].show(
        values.map((_value, at) => end - step * (values.length - 1 - at)),
        [values],
      );
    }
    note.textContent = place ? "" : "No measurements: it does not run, or [metrics] leaves it out.";
  }

  const ends = [
    follow("api/v1/containers", 5, (answer) => {
      const row = answer.containers.find((each) => each.id === id);
      if (!row && !seen) {
        const meant = answer.containers.filter((each) => each.id.startsWith(id));
        if (meant.length === 1) location.replace(`#containers/${meant[0].id}`);
        else title.textContent = `There is no container ${format.short(id)}`;
        return;
      }
      seen = row ?? { ...seen, state: "removed", health: null };
      title.textContent = row ? row.name : `${seen.name} (gone)`;
      document.title = `${title.textContent} · watchd`;
      facts.replaceChildren(...factRows(seen, answer.at));
      const wasRunning = isRunning;
      isRunning = Boolean(row) && runs(row);
      now = answer.at;
      if (isRunning !== wasRunning) draw();
    }),
    follow(
      `api/v1/series?id=${encodeURIComponent(id)}`,
      15,
      (answer) => {
        measured = answer;
        draw();
      },
      draw,
    ),
  ];
  return () => {
    ended.abort();
    ends.forEach((end) => end());
    Object.values(drawn).forEach((chart) => chart.close());
  };
}

function volume(name, bytes) {
  const shown = /^[0-9a-f]{64}$/.test(name) ? format.short(name) : name;
  return bytes === null ? shown : `${shown} (${format.bytes(bytes)})`;
}

function* factRows(row, now) {
  const memory = row.memory_limit_bytes === null ? "" : ` of ${format.bytes(row.memory_limit_bytes)}`;
  const project = [row.compose_project, row.compose_service].filter(Boolean).join(" / ");
  const facts = [
    ["State", element("span", { class: `state ${tone(row)}` }, `${stateOf(row)}, for ${format.ago(since(row), now)}`)],
    ["Image", row.image],
    ["ID", element("code", {}, format.short(row.id))],
    ["Compose", project],
    ["Volumes", row.volumes.map(({ name, bytes }) => volume(name, bytes)).join(", ")],
    ["Created", format.moment(row.created_at)],
    ["Restarts", format.count(row.restarts)],
    [
      "CPU",
      row.cpu_cores === null
        ? ""
        : `${format.cores(row.cpu_cores)} cores${row.throttled ? `, throttled ${format.percent(row.throttled)} of the time` : ""}`,
    ],
    ["Memory", row.memory_bytes === null ? "" : `${format.bytes(row.memory_bytes)}${memory}`],
    ["Processes", row.processes === null ? "" : format.count(row.processes)],
    [
      "Network",
      network(row) === null
        ? ""
        : `${format.rate(row.network_receive_bytes_per_second)} in, ${format.rate(row.network_transmit_bytes_per_second)} out`,
    ],
    [
      "Disk",
      disk(row) === null
        ? ""
        : `${format.rate(row.disk_read_bytes_per_second)} read, ${format.rate(row.disk_write_bytes_per_second)} written`,
    ],
  ];
  for (const [name, value] of facts) {
    if (value !== "") yield element("div", {}, element("dt", {}, name), element("dd", {}, value));
  }
}
