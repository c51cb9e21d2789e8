// View of the latest events of the engine.

import { Options } from "../address.js";
import { follow } from "../asking.js";
import { element, heading, offer, search } from "../element.js";
import * as format from "../format.js";
import { isNoise, repeated, words } from "../parts/event-rows.js";
import { Table } from "../parts/table.js";

const EVERY = 5; // seconds
const DEFAULTS = { sort: "time", order: "falls", type: "", filter: "", noise: "" };

const NOTHING = "Nothing has happened since watchd was started.";

/** Show the view. Return a function that ends it. */
export function events(view) {
  const options = new Options("events", DEFAULTS);
  let all = [];
  const types = element("select", { onchange: () => change({ type: types.value }) });
  offer(types, [["", "all"]], "");
  const table = new Table({
    caption: "Events",
    columns: COLUMNS,
    key: (row) => `${row.time} ${row.type} ${row.action} ${row.id} ${row.container?.id}`,
    options,
    empty: NOTHING,
  });
  const field = search("Filter", options.get("filter"), (text) => change({ filter: text }));
  const summary = element("p", { class: "summary" });
  const noise = element(
    "input",
    { type: "checkbox", checked: Boolean(options.get("noise")), onchange: () => change({ noise: noise.checked ? "shown" : "" }) },
  );
  view.append(
    heading("Events"),
    summary,
    element(
      "div",
      { class: "fields" },
      field,
      element("label", { class: "field" }, element("span", {}, "Type"), types),
      element("label", { class: "check-field" }, noise, "Show networks and volumes that containers join and leave"),
    ),
    table.node,
  );

  function change(to) {
    options.set(to);
    draw();
  }
  function draw() {
    const shown = all.filter(
      (row) => (options.get("noise") || !isNoise(row)) && (!options.get("type") || row.type === options.get("type")),
    );
    const left = options.get("noise") ? 0 : all.filter(isNoise).length;
    summary.textContent = `${all.length > 1 ? "The last " : ""}${format.plural("event", all.length)} since watchd was started${left ? `; ${left} of networks and volumes that containers joined or left are hidden` : ""}. Commands run in containers are left out.`;
    table.accepts = (row) =>
      `${row.type} ${row.action} ${row.name} ${row.id} ${row.container?.name ?? ""}`.toLowerCase().includes(options.get("filter"));
    table.empty = all.length ? "Containers only joined and left networks and volumes." : NOTHING;
    table.update(repeated(shown));
  }

  return follow("api/v1/events", EVERY, (answer) => {
    all = answer.events;
    const there = [...new Set(all.map((row) => row.type))].sort();
    if (!there.includes(options.get("type"))) options.set({ type: "" });
    offer(types, [["", "all"], ...there.map((type) => [type, type])], options.get("type"));
    draw();
  });
}

const COLUMNS = [
  {
    title: "Time",
    name: "time",
    falls: true,
    value: (row) => row.time,
    says: (row) => format.lately(row.time),
    show: (row) => format.lately(row.time),
  },
  { title: "Type", name: "type", from: "small", value: (row) => row.type, show: (row) => row.type },
  {
    title: "Action",
    name: "action",
    value: (row) => row.action,
    says: (row) => `${words(row)} ${row.times} ${row.first}`,
    show: (row) => [
      element("span", { class: `state ${toneOf(row)}` }, words(row)),
      row.times > 1 && element("span", { class: "of" }, `${row.times} times since ${format.lately(row.first)}`),
    ],
  },
  {
    title: "Name",
    name: "name",
    value: (row) => row.name,
    says: (row) => `${row.name} ${row.container?.name}`,
    show: (row) => [
      row.type === "container" ? link(row.id, row.name) : element("span", { class: "name", title: row.name }, format.short64(row.name)),
      row.container && element("span", { class: "of" }, "with ", link(row.container.id, row.container.name)),
      element("span", { class: "beneath until-small" }, row.type),
    ],
  },
];

const link = (id, name) => element("a", { href: `#containers/${id}`, class: "name" }, name);

function toneOf({ action, exit_code: code, health }) {
  if (action === "oom" || health === "unhealthy") return "bad";
  if (action === "start" || health === "healthy") return "good";
  return code ? "warns" : "quiet";
}
