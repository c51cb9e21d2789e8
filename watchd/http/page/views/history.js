// View of the removals, with reasons and bytes freed per day.

import { Options } from "../address.js";
import { follow } from "../asking.js";
import { Chart } from "../parts/chart.js";
import { choice, element, heading, search } from "../element.js";
import * as format from "../format.js";
import { clocks } from "../parts/explanation.js";
import { Table } from "../parts/table.js";
import { fullName, KINDS, OUTCOMES, plain, REASONS } from "../words.js";

const EVERY = 60; // seconds: an answer may have thousands of rows
const TRIGGERS = { schedule: "by schedule", pressure: "disk pressure", manual: "by hand" };
const PERIODS = [
  ["7d", "7 days"],
  ["30d", "30 days"],
  ["90d", "90 days"],
  ["400d", "400 days"],
];

const DEFAULTS = { sort: "time", order: "falls", since: "30d", kind: "", filter: "" };

/** Show the view. Return a function that ends it. */
export function history(view) {
  const options = new Options("history", DEFAULTS);
  let rows = [];
  let number = 0;
  const chart = new Chart({
    title: "Freed each day",
    level: "h2",
    series: [{ label: "bytes", colour: "one" }],
    format: format.bytes,
    least: 1e6,
    bars: true,
  });
  const table = new Table({
    caption: "Removals",
    key: (row) => `${row.time} ${row.id} ${row.action} ${row.name}`,
    options,
    most: 200,
    empty: "Removals are listed here.",
    columns: [
      { title: "Time", name: "time", falls: true, value: (row) => row.at, show: (row) => format.moment(row.at) },
      {
        title: "What",
        name: "what",
        value: (row) => row.name,
        says: (row) => `${row.kind} ${row.called} ${row.id}`,
        show: (row) => [
          element("span", { class: "name" }, row.called),
          element(
            "span",
            { class: "beneath" },
            row.action === "untag" ? "tag" : row.kind.replace("_", " "),
            row.id === row.name ? "" : [" ", element("code", {}, format.short(row.id))],
          ),
          element("span", { class: "beneath until-medium" }, REASONS[row.reason] ?? plain(row.reason)),
        ],
      },
      {
        title: "Size",
        name: "size",
        number: true,
        value: freed,
        show: (row) => (row.action === "remove" ? format.amount(row) : ""),
      },
      {
        title: "Why",
        name: "why",
        from: "medium",
        value: (row) => row.reason,
        says: (row) => `${row.reason} ${row.policy} ${row.time}`,
        show: (row) => [
          element("span", {}, REASONS[row.reason] ?? plain(row.reason)),
          element("span", { class: "beneath" }, [row.policy, clocks(row.facts.clocks)].filter(Boolean).join(" · ")),
        ],
      },
      {
        title: "Run",
        name: "run",
        from: "wide",
        value: (row) => TRIGGERS[row.trigger] ?? null,
        show: (row) => TRIGGERS[row.trigger] ?? format.UNKNOWN,
      },
      {
        title: "Outcome",
        name: "outcome",
        value: (row) => row.outcome,
        says: (row) => `${row.outcome} ${row.detail} ${row.regretted_at}`,
        show: (row) =>
          [
            element(
              "span",
              { class: `state ${row.outcome === "removed" || row.outcome === "already_gone" ? "good" : "warns"}` },
              OUTCOMES[row.outcome] ?? row.outcome,
            ),
            row.detail ? element("span", { class: "beneath" }, row.detail) : null,
            row.regretted_at ? element("span", { class: "beneath state warns" }, regret(row)) : null,
          ],
      },
    ],
  });
  const summary = element("p", { class: "summary" });
  const zone = element("p", { class: "more" }, `Times and days are in ${format.zone()}.`);
  const field = search("Filter", options.get("filter"), (text) => {
    options.set({ filter: text });
    draw();
  });
  view.append(
    heading("History"),
    summary,
    chart.node,
    zone,
    element(
      "div",
      { class: "fields" },
      field,
      choice("Kind", [["", "all"], ...Object.entries(KINDS)], options.get("kind"), (kind) => {
        options.set({ kind });
        draw();
      }),
      choice("Period", PERIODS, options.get("since"), (since) => {
        options.set({ since });
        begin();
      }),
    ),
    table.node,
  );

  const isChosen = (row) => !options.get("kind") || row.kind === options.get("kind");
  table.accepts = (row) =>
    isChosen(row) &&
    `${row.called} ${row.id} ${row.policy} ${row.reason} ${row.outcome} ${regret(row)}`
      .toLowerCase()
      .includes(options.get("filter"));

  function draw() {
    const tried = rows.filter((row) => isChosen(row) && row.action === "remove");
    const gone = tried.filter((row) => row.outcome === "removed");
    summary.replaceChildren(
      element(
        "strong",
        {},
        tried.length
          ? `Removed ${gone.length} of ${format.plural("object", tried.length)}, ${format.about(format.total(gone))}.`
          : "Nothing was removed.",
      ),
      rows.length < number ? ` Of the ${number} on record of that time these are the last ${rows.length}.` : "",
    );
    const [times, sizes] = byDay(gone, parseInt(options.get("since"), 10));
    chart.show(times, [sizes]);
    table.update(rows);
  }

  let end = () => {};
  function begin() {
    end();
    end = follow(`api/v1/history?since=${encodeURIComponent(options.get("since"))}`, EVERY, (answer) => {
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

/** Return how soon something was needed again, and what for; nothing, if it was not. */
const regret = (row) =>
  row.regretted_at
    ? `needed again after ${format.duration(format.seconds(row.regretted_at) - row.at)}: ${row.needed_for}`
    : "";

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
