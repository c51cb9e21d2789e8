// The plan as it stands now: what would go and what stays, each with its reason.

import { follow } from "./asking.js";
import { choice, element, heading, search } from "./element.js";
import { clocks, explained } from "./explanation.js";
import * as format from "./format.js";
import { KINDS, plain, REASONS } from "./words.js";

const EVERY = 15; // seconds; the daemon makes a new one once a minute
const AT_ONCE = 100; // items of a group
const PARTS = [
  ["go", "Would go at the next run", (item) => item.action !== "keep" && item.mode === "enforce"],
  ["reported", "Would go if its policy enforced", (item) => item.action !== "keep" && item.mode !== "enforce"],
  ["stay", "Stays", (item) => item.action === "keep"],
];

let wanted = { text: "", kind: "", reason: "" }; // stays from one visit to the next

/** Show the view. Return what ends it. */
export function plan(view) {
  let shown = null;
  const open = new Set(["go", "reported"]);
  const summary = element("p", { class: "summary" });
  const groups = element("div", { class: "groups" });
  const reasons = element("select", { onchange: () => change({ reason: reasons.value }) });
  const text = search("Filter", (typed) => change({ text: typed }));
  text.querySelector("input").value = wanted.text;
  const kinds = [["", "all"], ...Object.entries(KINDS)];
  const fields = element(
    "div",
    { class: "fields" },
    text,
    choice("Kind", kinds, wanted.kind, (kind) => change({ kind })),
    element("label", { class: "field" }, element("span", {}, "Reason"), reasons),
  );
  view.append(heading("Plan"), summary, fields, groups);

  function change(to) {
    wanted = { ...wanted, ...to };
    if (shown) draw();
  }

  function draw() {
    const items = shown.items.filter(
      (item) =>
        (!wanted.kind || item.kind === wanted.kind) &&
        (!wanted.reason || item.reason === wanted.reason) &&
        `${item.name} ${item.names.join(" ")} ${item.id} ${item.policy ?? ""} ${item.reason}`
          .toLowerCase()
          .includes(wanted.text),
    );
    groups.replaceChildren(
      ...PARTS.flatMap(([name, title, belongs]) => [...part(name, title, items.filter(belongs), open)]),
    );
    if (!items.length)
      groups.append(
        element(
          "p",
          { class: "more" },
          shown.items.length ? "Nothing of it fits the filter." : "The engine has nothing.",
        ),
      );
  }

  return follow("api/v1/plan", EVERY, (answer) => {
    if (shown?.plan_id === answer.plan_id) return;
    shown = answer;
    summary.replaceChildren(...summed(answer));
    const there = [...new Set(answer.items.map((item) => item.reason))].sort();
    if (!there.includes(wanted.reason)) wanted.reason = "";
    reasons.replaceChildren(
      ...["", ...there].map((reason) =>
        element("option", { value: reason, selected: reason === wanted.reason }, reason ? plain(reason) : "all"),
      ),
    );
    if (!groups.contains(document.activeElement) && !groups.querySelector(".explanation")) draw();
    else if (!groups.querySelector(".stale")) groups.prepend(stale(draw));
  });
}

/** What someone is reading is not taken away: it is told that there is a newer one. */
function stale(draw) {
  return element(
    "p",
    { class: "stale", role: "status" },
    "There is a newer plan. ",
    element("button", { type: "button", onclick: draw }, "Show it"),
  );
}

function* summed({ created_at: made, totals }) {
  const counts = Object.entries(totals).filter(([, { remove }]) => remove);
  const size = Object.values(totals).reduce((sum, each) => sum + each.bytes, 0);
  const removed = counts.map(([kind, { remove }]) => format.plural(kind, remove)).join(" and ");
  yield element(
    "strong",
    {},
    removed ? `Would remove ${removed}, about ${format.bytes(size)}.` : "Nothing would be removed now.",
  );
  yield ` Looked at ${format.moment(format.seconds(made))}. `;
  yield element("span", { class: "faint" }, "It is what ", element("code", {}, "watchd prune --dry-run"), " shows.");
}

/** The groups of one part of the plan: a group for each kind and reason, the largest first. */
function* part(name, title, items, open) {
  if (!items.length) return;
  const groups = Map.groupBy(items, (item) => `${item.kind} ${item.reason}`);
  yield element("h2", { class: `part ${name}` }, title, " ", element("span", { class: "of" }, `${items.length}`));
  for (const [key, members] of [...groups].sort(([, one], [, other]) => other.length - one.length)) {
    yield group(`${name} ${key}`, members, open.has(name) || open.has(`${name} ${key}`), open);
  }
}

function group(key, items, isOpen, open) {
  const [{ kind, reason }] = items;
  const size = items.reduce((sum, item) => sum + (item.action === "untag" ? 0 : item.bytes), 0);
  const list = element("ul", { class: "items" });
  const node = element(
    "details",
    { class: "group", open: isOpen },
    element(
      "summary",
      {},
      element("span", { class: "title" }, `${KINDS[kind] ?? kind}: ${REASONS[reason] ?? plain(reason)}`),
      element("span", { class: "of" }, `${items.length}${size ? ` · ${format.bytes(size)}` : ""}`),
      element("code", {}, reason),
    ),
    list,
  );
  const more = (from) => {
    list.append(...items.slice(from, from + AT_ONCE).map(line));
    const left = items.length - from - AT_ONCE;
    if (left > 0) {
      const button = element(
        "button",
        {
          type: "button",
          onclick: () => {
            button.parentElement.remove();
            more(from + AT_ONCE);
          },
        },
        `Show more (${left} are left)`,
      );
      list.append(element("li", {}, button));
    }
  };
  const fill = () => {
    if (node.open && !list.hasChildNodes()) more(0); // thousands of items cost nothing until they are looked at
    if (node.open) open.add(key);
    else open.delete(key);
  };
  node.addEventListener("toggle", fill);
  if (isOpen) more(0);
  return node;
}

function line(item) {
  const why = element(
    "button",
    { type: "button", class: "why", "aria-expanded": "false", "aria-label": `Why? ${item.name}` },
    "Why?",
  );
  const node = element(
    "li",
    {},
    element(
      "div",
      { class: "item" },
      element(
        "span",
        { class: "what" },
        element("span", { class: "name" }, item.action === "untag" ? `tag ${item.name}` : item.name),
        " ",
        element("code", {}, format.short(item.id)),
      ),
      element("span", { class: "beneath" }, [item.policy, clocks(item.facts.clocks)].filter(Boolean).join(" · ")),
      element("span", { class: "size" }, item.bytes && item.action !== "untag" ? format.bytes(item.bytes) : ""),
      why,
    ),
  );
  why.addEventListener("click", () => {
    const there = node.querySelector(".explanation");
    if (there) there.remove();
    else node.append(explained(item.kind, item.id));
    why.setAttribute("aria-expanded", String(!there));
  });
  return node;
}
