// Table of the containers: problems first, grouped by project, with what they use now and used lately.

import { linkTo, Options } from "../address.js";
import { follow } from "../asking.js";
import { choice, element, heading, say, search } from "../element.js";
import * as format from "../format.js";
import { columnsOf, portsOf, projectOf, SPARKS, sumOf } from "../parts/container-columns.js";
import { problemsOf, runs, stateOf } from "../parts/state.js";
import { Table } from "../parts/table.js";
import { drawSpark, Tails } from "../parts/tails.js";
import { notices, tiles } from "../parts/tiles.js";

const EVERY = 5; // seconds
const SOON = 1; // seconds until the next request while what containers use is not known yet
const PATIENCE = 8; // such requests
const FEW = 40; // containers: with more, groups are folded, and only what has a problem is shown of them
const DEFAULTS = { sort: "state", order: "rises", filter: "", state: "", group: "project", problems: "" };

const folded = new Map(); // by project, what the user chose; kept between visits of the view
let opened = null; // the container viewed last, to which the focus returns

/** Remember the container that is viewed. */
export function remember(id) {
  opened = id;
}

/** Show the view. Return a function that ends it. */
export function containers(view) {
  const options = new Options("containers", DEFAULTS);
  const answers = {};
  const tails = new Tails();
  const context = { now: 0, host: {}, isReturn: (id) => id === opened, fold };
  let count = 0;
  let early = 0;
  const table = new Table({
    caption: "Containers",
    columns: columnsOf(context),
    key: (row) => row.id,
    options,
    empty: "The engine has no container.",
    dense: true,
    opened: (id) => {
      location.hash = `#containers/${id}`;
    },
    grouping: { key: keyOf, head: (name, members) => sumOf(name, members, isOpen(name)), isOpen, stays },
  });
  const summary = element("div", { class: "tiles" });
  const remarks = element("ul", { class: "notices" });
  const field = search("Filter", options.get("filter"), (text) => change({ filter: text }));
  const states = [
    ["", "all"],
    ["running", "running"],
    ["ended", "not running"],
  ];
  const state = choice("State", states, options.get("state"), (chosen) => change({ state: chosen }));
  const groups = [
    ["project", "project"],
    ["none", "nothing"],
  ];
  const group = choice("Group by", groups, options.get("group"), (chosen) => change({ group: chosen }));
  view.append(
    heading("Containers"),
    summary,
    remarks,
    element("div", { class: "fields" }, field, state, group),
    table.node,
  );

  function keyOf(row) {
    return options.get("group") === "project" ? projectOf(row) : null;
  }
  function isOpen(project) {
    if (options.get("filter") || options.get("problems")) return true;
    if (folded.has(project)) return !folded.get(project);
    return count <= FEW;
  }
  function stays(project, row) {
    return !folded.has(project) && problemsOf(row).length > 0;
  }
  function fold(project) {
    folded.set(project, isOpen(project));
    redraw();
  }
  function change(to) {
    options.set(to);
    redraw();
    drawTiles();
  }
  function accepts(row) {
    const wanted = options.get("state");
    return (
      (!wanted || (wanted === "running") === runs(row)) &&
      (!options.get("problems") || problemsOf(row).length > 0) &&
      textOf(row).includes(options.get("filter"))
    );
  }
  function redraw() {
    table.draw();
    drawSparks();
  }
  function drawSparks() {
    table.visit((row, line) => {
      const ids = row.members ?? [row.id];
      for (const [name, least] of SPARKS) {
        const node = line.querySelector(`.spark.${name}`);
        if (node) drawSpark(node, tails.sum(ids, name), least(row));
      }
    });
  }
  function drawTiles() {
    const isAlone = Boolean(options.get("problems"));
    const hasFocus = summary.contains(document.activeElement);
    summary.replaceChildren(...tiles(answers, isAlone, () => change({ problems: isAlone ? "" : "only" })));
    if (hasFocus) summary.querySelector("button")?.focus({ preventScroll: true });
    remarks.replaceChildren(...notices(answers));
  }

  table.accepts = accepts;
  let known = null;
  const ends = [
    follow("api/v1/containers", EVERY, (answer) => {
      context.host = answer.host ?? {};
      context.now = answer.at;
      count = answer.containers.length;
      answers.containers = answer;
      table.update(answer.containers.sort((one, other) => (one.name < other.name ? -1 : 1)));
      drawSparks();
      drawTiles();
      announceChanges(known, answer.containers);
      known = answer.containers;
      returnFocus();
      early += 1;
      return early <= PATIENCE && answer.containers.some(isUnread) ? SOON : EVERY;
    }),
    follow(tails.path, 3 * EVERY, (answer) => {
      tails.take(answer);
      drawSparks();
    }),
    follow("api/v1/disk", 3 * EVERY, (answer) => {
      answers.disk = answer;
      drawTiles();
    }),
    follow("api/v1/history?regretted=true", 12 * EVERY, (answer) => {
      answers.regretted = answer;
      drawTiles();
    }),
    follow("api/v1/next", 6 * EVERY, (answer) => {
      answers.next = answer;
      drawTiles();
    }),
  ];

  function returnFocus() {
    if (!opened) return;
    const link = view.querySelector("[data-return]");
    if (link && document.activeElement === view.querySelector("h1")) link.focus();
    opened = null;
  }
  return () => ends.forEach((end) => end());
}

/** Return the address of the view with the options that it had last. */
export const containersAddress = () => linkTo("containers").hash;

const isUnread = (row) => row.state === "running" && row.cpu_cores === null && row.memory_bytes === null;

function textOf(row) {
  const labels = `${row.compose_project ?? ""} ${row.compose_service ?? ""}`;
  return `${row.name} ${row.image} ${stateOf(row)} ${labels} ${portsOf(row)} ${row.id}`.toLowerCase();
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
