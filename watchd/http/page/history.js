// View of the removals, with reasons and bytes freed per day.

import { follow } from "./asking.js";
import { Chart } from "./chart.js";
import { choice, element, heading, search } from "./element.js";
import * as format from "./format.js";
import { Table } from "./table.js";
import { fullName, KINDS, OUTCOMES, plain, REASONS } from "./words.js";

const EVERY = 60; // seconds: an answer may have thousands of rows
const PERIODS = [
  ["7d", "7 days"],
  ["30d", "30 days"],
  ["90d", "90 days"],
  ["400d", "400 days"],
];

let wanted = { since: "30d", kind: "", text: "" }; // kept between visits of the view

/** Show the view. Return a function that ends it. */
export function history(view) {
  let rows = [];
  let number = 0;
  const chart = new Chart({
    title: "Given back each day",
    level: "h2",
    series: [{ label: "bytes", colour: "one" }],
    format: format.bytes,
    least: 1e6,
    bars: true,
  });
  const table = new Table({
    caption: "Removals",
    key: (row) => `${row.time} ${row.id} ${row.action} ${row.name}`,
    sort: "Time",
    descending: true,
    most: 200,
    empty: "Nothing was removed.",
    columns: [
      { title: "Time", falls: true, value: (row) => row.at, show: (row) => format.moment(row.at) },
      {
        title: "What",
        value: (row) => row.name,
        says: (row) => `${row.kind} ${row.called} ${row.id}`,
        show: (row) => [
          element("span", { class: "name" }, row.called),
          element("span", { class: "beneath whole" }, row.action === "untag" ? "tag" : row.kind.replace("_", " ")),
          row.id === row.name ? "" : element("code", {}, format.short(row.id)),
        ],
      },
      {
        title: "Size",
        number: true,
        value: freed,
        show: (row) => (row.action === "remove" ? format.amount(row) : ""),
      },
      {
        title: "Why",
        from: "medium",
        value: (row) => row.reason,
        says: (row) => `${row.reason} ${row.policy}`,
        show: (row) => [REASONS[row.reason] ?? plain(row.reason), element("span", { class: "beneath" }, row.policy)],
      },
      {
        title: "Outcome",
        value: (row) => row.outcome,
        says: (row) => `${row.outcome} ${row.detail}`,
        show: (row) =>
          [
            element(
              "span",
              { class: `state ${row.outcome === "removed" || row.outcome === "already_gone" ? "good" : "warns"}` },
              OUTCOMES[row.outcome] ?? row.outcome,
            ),
            row.detail ? element("span", { class: "beneath" }, row.detail) : null,
          ].filter(Boolean),
      },
    ],
  });
  const summary = element("p", { class: "summary" });
  const field = search("Filter", (text) => {
    wanted = { ...wanted, text };
    draw();
  });
  field.querySelector("input").value = wanted.text;
  view.append(
    heading("History"),
    summary,
    chart.node,
    element(
      "div",
      { class: "fields" },
      field,
      choice("Kind", [["", "all"], ...Object.entries(KINDS)], wanted.kind, (kind) => {
        wanted = { ...wanted, kind };
        draw();
      }),
      choice("Of the last", PERIODS, wanted.since, (since) => {
        wanted = { ...wanted, since };
        begin();
      }),
    ),
    table.node,
  );

  function draw() {
    const chosen = rows.filter((row) => !wanted.kind || row.kind === wanted.kind);
    const tried = chosen.filter((row) => row.action === "remove");
    const gone = tried.filter((row) => row.outcome === "removed");
    summary.replaceChildren(
      element(
        "strong",
        {},
        `Removed ${gone.length} of ${tried.length} tried, ${format.about(format.total(gone))}.`,
      ),
      rows.length < number ? ` Of the ${number} on record of that time these are the last ${rows.length}.` : "",
    );
    const [times, sizes] = byDay(gone, parseInt(wanted.since, 10));
    chart.show(times, [sizes]);
    table.update(
      chosen.filter((row) =>
        `${row.called} ${row.id} ${row.policy} ${row.reason} ${row.outcome}`.toLowerCase().includes(wanted.text),
      ),
    );
  }

  let end = () => {};
  function begin() {
    end();
    end = follow(`api/v1/history?since=${wanted.since}`, EVERY, (answer) => {
      number = answer.count;
      rows = answer.rows.map((row) => ({
        ...row,
        at: format.seconds(row.time),
        called: fullName(row.name, row.facts.former_references),
      }));
      draw();
    });
  }
  begin();
  return () => {
    end();
    chart.close();
  };
}

const freed = (row) => (row.action === "remove" ? row.bytes : null);

/** Return the starts of the last `days` local days, and the bytes freed on each. */
function byDay(rows, days) {
  const start = new Date();
  start.setHours(0, 0, 0, 0);
  const times = [];
  for (let back = Math.min(days, 400) - 1; back >= 0; back -= 1) {
    const date = new Date(start);
    date.setDate(start.getDate() - back); // a day may have 23 hours
    times.push(date.getTime() / 1000);
  }
  const sizes = times.map(() => 0);
  for (const row of rows) {
    const place = times.findLastIndex((time) => row.at >= time);
    if (place >= 0) sizes[place] += row.bytes ?? 0;
  }
  return [times, sizes];
}
