// View of the latest events of the engine.

import { follow } from "./asking.js";
import { element, heading, offer, search } from "./element.js";
import * as format from "./format.js";
import { Table } from "./table.js";

const EVERY = 5; // seconds

let wanted = { type: "", text: "" }; // kept between visits of the view

/** Show the view. Return a function that ends it. */
export function events(view) {
  const types = element("select", {
    onchange: () => {
      wanted = { ...wanted, type: types.value };
      applyFilter();
    },
  });
  const table = new Table({
    caption: "Events",
    key: (row) => `${row.time} ${row.type} ${row.action} ${row.id}`,
    sort: "Time",
    descending: true,
    empty: "Nothing has happened since watchd was started.",
    columns: [
      {
        title: "Time",
        falls: true,
        value: (row) => row.time,
        says: (row) => format.lately(row.time),
        show: (row) => format.lately(row.time),
      },
      { title: "Type", from: "small", value: (row) => row.type, show: (row) => row.type },
      {
        title: "Action",
        value: (row) => row.action,
        show: (row) => element("span", { class: `state ${toneOf(row)}` }, words(row)),
      },
      {
        title: "Name",
        value: (row) => row.name,
        show: (row) => [
          row.type === "container"
            ? element("a", { href: `#containers/${row.id}`, class: "name" }, row.name)
            : element("span", { class: "name" }, row.name),
          element("span", { class: "beneath until-small" }, row.type),
        ],
      },
    ],
  });
  const field = search("Filter", (text) => {
    wanted = { ...wanted, text };
    applyFilter();
  });
  field.querySelector("input").value = wanted.text;
  view.append(
    heading("Events"),
    element(
      "p",
      { class: "summary" },
      "The last 200 of the engine since watchd was started, the newest first; those of health probes are left out.",
    ),
    element(
      "div",
      { class: "fields" },
      field,
      element("label", { class: "field" }, element("span", {}, "Type"), types),
    ),
    table.node,
  );

  function applyFilter() {
    table.filter(
      (row) =>
        (!wanted.type || row.type === wanted.type) &&
        `${row.type} ${row.action} ${row.name} ${row.id}`.toLowerCase().includes(wanted.text),
    );
  }
  applyFilter();

  return follow("api/v1/events", EVERY, ({ events: rows }) => {
    const there = [...new Set(rows.map((row) => row.type))].sort();
    if (!there.includes(wanted.type)) wanted = { ...wanted, type: "" };
    offer(types, [["", "all"], ...there.map((type) => [type, type])], wanted.type);
    table.update(rows);
  });
}

const words = ({ action, exit_code: code }) => (code === null || code === undefined ? action : `${action} (${code})`);

function toneOf({ action, exit_code: code }) {
  if (action === "oom") return "bad";
  if (action === "start") return "good";
  return code ? "warns" : "quiet";
}
