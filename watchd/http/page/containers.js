// Table of the containers, with their current use of resources.

import { follow } from "./asking.js";
import { bar, choice, element, heading, say, search } from "./element.js";
import * as format from "./format.js";
import { disk, network, rank, runs, since, stateOf, tone } from "./state.js";
import { Table } from "./table.js";
import { summary } from "./tiles.js";

const EVERY = 5; // seconds

let wanted = { text: "", state: "" }; // kept between visits of the view
let opened = null; // the container viewed last, to which the focus returns

/** Show the view. Return a function that ends it. */
export function containers(view) {
  let host = {};
  let now = 0;
  const columns = [
    {
      title: "Name",
      value: (row) => row.name,
      says: (row) => `${row.name} ${row.image} ${stateOf(row)}`,
      show: (row) => [
        element(
          "a",
          { href: `#containers/${row.id}`, class: "name", ...(row.id === opened && { "data-return": "" }) },
          row.name,
        ),
        element("span", { class: "beneath" }, row.image),
        element("span", { class: `beneath until-small state ${tone(row)}` }, stateOf(row)),
      ],
    },
    {
      title: "State",
      from: "small",
      value: (row) => `${rank(row)} ${stateOf(row)}`,
      says: (row) => `${stateOf(row)} ${tone(row)}`,
      show: (row) => element("span", { class: `state ${tone(row)}` }, stateOf(row)),
    },
    {
      title: "CPU",
      number: true,
      value: (row) => row.cpu_cores,
      says: (row) => `${row.cpu_cores} ${row.throttled} ${host.cpus}`,
      show: (row) =>
        [
          row.throttled > 0.01 && element("span", { class: "throttled" }, `throttled ${format.percent(row.throttled)}`),
          format.cores(row.cpu_cores),
          row.cpu_cores !== null && bar(row.cpu_cores / (host.cpus || 1)),
        ].filter(Boolean),
    },
    {
      title: "Memory",
      number: true,
      value: (row) => row.memory_bytes,
      says: (row) => `${row.memory_bytes} ${row.memory_limit_bytes}`,
      show: (row) => {
        const most = row.memory_limit_bytes ?? host.memory_bytes;
        const share = most ? row.memory_bytes / most : 0;
        if (row.memory_bytes === null) return format.UNKNOWN;
        const limit =
          row.memory_limit_bytes === null
            ? null
            : element("span", { class: "of" }, `of ${format.bytes(row.memory_limit_bytes)}`);
        return [
          format.bytes(row.memory_bytes),
          limit,
          bar(share, row.memory_limit_bytes && share > 0.9 ? "full" : ""),
        ].filter(Boolean);
      },
    },
    {
      title: "Network",
      number: true,
      from: "medium",
      value: network,
      says: (row) => `${row.network_receive_bytes_per_second} ${row.network_transmit_bytes_per_second}`,
      show: (row) =>
        pair("↓", "received", row.network_receive_bytes_per_second, "↑", "sent", row.network_transmit_bytes_per_second),
    },
    {
      title: "Disk",
      number: true,
      from: "wide",
      value: disk,
      says: (row) => `${row.disk_read_bytes_per_second} ${row.disk_write_bytes_per_second}`,
      show: (row) => pair("r", "read", row.disk_read_bytes_per_second, "w", "written", row.disk_write_bytes_per_second),
    },
    {
      title: "Processes",
      number: true,
      from: "wide",
      value: (row) => row.processes,
      show: (row) => format.count(row.processes),
    },
    {
      title: "Restarts",
      number: true,
      from: "wide",
      value: (row) => row.restarts,
      show: (row) => format.count(row.restarts),
    },
    {
      title: "For",
      number: true,
      from: "medium",
      value: (row) => (since(row) === null ? null : now - since(row)),
      says: (row) => format.ago(since(row), now),
      show: (row) => format.ago(since(row), now),
    },
    { title: "Project", from: "wide", value: (row) => row.compose_project, show: (row) => row.compose_project ?? "" },
  ];
  const table = new Table({
    caption: "Containers",
    columns,
    key: (row) => row.id,
    sort: "State",
    empty: "The engine has no container.",
    opened: (id) => {
      location.hash = `#containers/${id}`;
    },
  });
  const tiles = element("dl", { class: "tiles" });
  const told = {};
  const applyFilter = () => {
    table.filter((row) => (!wanted.state || (wanted.state === "running") === runs(row)) && matches(row, wanted.text));
  };
  const field = search("Filter", (text) => {
    wanted = { ...wanted, text };
    applyFilter();
  });
  field.querySelector("input").value = wanted.text;
  const states = [
    ["", "all"],
    ["running", "running"],
    ["ended", "not running"],
  ];
  const state = choice("State", states, wanted.state, (chosen) => {
    wanted = { ...wanted, state: chosen };
    applyFilter();
  });
  view.append(heading("Containers"), tiles, element("div", { class: "fields" }, field, state), table.node);
  applyFilter();

  const redraw = () => tiles.replaceChildren(...summary(told));
  let known = null;
  const ends = [
    follow("api/v1/containers", EVERY, (answer) => {
      host = answer.host ?? {};
      now = answer.at;
      told.containers = answer;
      table.update(answer.containers.sort((one, other) => (one.name < other.name ? -1 : 1)));
      showEngine(answer.engine);
      redraw();
      announceChanges(known, answer.containers);
      known = answer.containers;
      if (opened) {
        const link = view.querySelector("[data-return]");
        if (link && document.activeElement === view.querySelector("h1")) link.focus();
        opened = null;
      }
    }),
    follow("api/v1/disk", 3 * EVERY, (answer) => {
      told.disk = answer;
      redraw();
    }),
    follow("api/v1/next", 6 * EVERY, (answer) => {
      told.next = answer;
      redraw();
    }),
  ];
  return () => ends.forEach((end) => end());
}

/** Remember the container that is viewed. */
export function remember(id) {
  opened = id;
}

function pair(sign, word, one, otherSign, otherWord, other) {
  if (one === null && other === null) return [format.UNKNOWN];
  return [
    [sign, word, one],
    [otherSign, otherWord, other],
  ].map(([mark, said, value]) =>
    element("span", { class: "rate" }, element("abbr", { title: said }, mark), format.rate(value)),
  );
}

function matches(row, text) {
  const said = `${row.name} ${row.image} ${stateOf(row)} ${row.compose_project ?? ""} ${row.compose_service ?? ""} ${row.id}`;
  return said.toLowerCase().includes(text);
}

function announceChanges(before, after) {
  if (!before) return;
  const names = new Map(before.map((row) => [row.id, row.name]));
  const came = after.filter((row) => !names.delete(row.id)).map((row) => row.name);
  const words = [
    came.length && `new: ${came.join(", ")}`,
    names.size && `gone: ${[...names.values()].join(", ")}`,
  ].filter(Boolean);
  if (words.length) say(`Containers ${words.join("; ")}`);
}

function showEngine(engine) {
  if (engine) document.getElementById("engine").textContent = `${engine.name} · engine ${engine.version}`;
}
