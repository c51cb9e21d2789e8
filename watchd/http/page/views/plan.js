// View of the current plan: what would go and what stays, with reasons.

import { Options } from "../address.js";
import { follow } from "../asking.js";
import { choice, element, heading, offer, search } from "../element.js";
import { clocks, explained } from "../parts/explanation.js";
import { Thresholds } from "../parts/thresholds.js";
import * as format from "../format.js";
import { fullName, KINDS, plain, REASONS, whyOf } from "../words.js";

const EVERY = 15; // seconds; the daemon makes a new plan at most once a minute
const PAGE = 100; // items of a group
const PARTS = [
  ["go", "Would be removed", (item) => item.action !== "keep" && item.mode === "enforce"],
  ["reported", "Would only be reported", (item) => item.action !== "keep" && item.mode !== "enforce"],
  ["stay", "Stays", (item) => item.action === "keep"],
];

const DEFAULTS = { filter: "", kind: "", reason: "" };

/** Show the view. Return a function that ends it. */
export function plan(view) {
  const options = new Options("plan", DEFAULTS);
  let shown = null;
  const states = new Map(); // by group: its node, and how many items it shows
  const ended = new AbortController();
  const summary = element("p", { class: "summary" });
  const groups = element("div", { class: "groups" }, element("p", { class: "more" }, "Loading …"));
  const reasons = element("select", { onchange: () => change({ reason: reasons.value }) });
  offer(reasons, [["", "all"]], "");
  const text = search("Filter", options.get("filter"), (typed) => change({ filter: typed }));
  const kinds = [["", "all"], ...Object.entries(KINDS)];
  const fields = element(
    "div",
    { class: "fields" },
    text,
    choice("Kind", kinds, options.get("kind"), (kind) => change({ kind })),
    element("label", { class: "field" }, element("span", {}, "Reason"), reasons),
  );
  const title = heading("Plan");
  const news = element("p", { class: "stale", role: "status" });
  const thresholds = new Thresholds();
  view.append(title, summary, thresholds.node, fields, news, groups);

  function change(to) {
    options.set(to);
    if (shown) draw();
  }

  function draw() {
    news.replaceChildren();
    const wanted = options.values;
    const items = shown.items.filter(
      (item) =>
        (!wanted.kind || item.kind === wanted.kind) &&
        (!wanted.reason || item.reason === wanted.reason) &&
        `${called(item)} ${item.names.join(" ")} ${item.id} ${item.policy ?? ""} ${item.reason} ${whyOf(item)}`
          .toLowerCase()
          .includes(wanted.filter),
    );
    groups.replaceChildren(
      ...PARTS.flatMap(([name, title, belongs]) => [...part(name, title, items.filter(belongs), states, ended.signal)]),
    );
    if (!items.length)
      groups.append(
        element(
          "p",
          { class: "more" },
          shown.items.length ? "Nothing matches the filter." : "The engine has nothing.",
        ),
      );
  }

  /** Offer a newer plan instead of replacing what the user is reading. */
  function offerNewer() {
    const show = () => {
      draw();
      title.focus({ preventScroll: true });
    };
    if (!news.hasChildNodes())
      news.append("There is a newer plan. ", element("button", { type: "button", onclick: show }, "Show it"));
  }

  const isRead = () =>
    groups.contains(document.activeElement) ||
    groups.querySelector(".explanation") ||
    (groups.contains(getSelection().anchorNode) && !getSelection().isCollapsed);

  const end = follow("api/v1/plan", EVERY, (answer) => {
    if (shown?.plan_id === answer.plan_id) return;
    const isSame = shown !== null && decisions(shown) === decisions(answer);
    shown = answer;
    summary.replaceChildren(...summed(answer));
    const there = [...new Set(answer.items.map((item) => item.reason))].sort();
    if (!there.includes(options.get("reason"))) options.set({ reason: "" });
    offer(reasons, [["", "all"], ...there.map((reason) => [reason, REASONS[reason] ?? plain(reason)])], options.get("reason"));
    if (!isRead()) draw();
    else if (!isSame) offerNewer();
  });
  return () => {
    end();
    thresholds.close();
    ended.abort();
  };
}

/** Return the decisions of a plan for comparison, without clocks, which differ in each plan. */
const decisions = ({ items }) =>
  JSON.stringify(
    items.map(({ kind, id, name, action, policy, mode, reason }) => [kind, id, name, action, policy, mode, reason]),
  );

function* summed({ created_at: made, items, without_pressure: unable }) {
  const [removed, reported] = ["enforce", "report"].map((mode) =>
    items.filter((item) => item.action === "remove" && item.mode === mode),
  );
  if (removed.length) yield element("strong", {}, `Would remove ${counted(removed)}. `);
  if (reported.length) yield element(removed.length ? "span" : "strong", {}, `Would only report ${counted(reported)}. `);
  if (!removed.length && !reported.length) yield element("strong", {}, "Nothing would be removed now. ");
  yield `Planned at ${format.lately(format.seconds(made))}. `;
  yield element("span", { class: "faint" }, "The same as ", element("code", {}, "watchd prune --dry-run"), ".");
  for (const [policy, why] of Object.entries(unable)) {
    yield element("span", { class: "more" }, ` No disk pressure for ${policy}: ${why}.`);
  }
}

/** Return the number of items by kind, and their size: "2 containers and 1 image, about 5MB". */
function counted(items) {
  const kinds = [...Map.groupBy(items, ({ kind }) => kind)].map(([kind, { length }]) => format.plural(kind, length));
  return `${kinds.join(" and ")}, ${format.about(format.total(items))}`;
}

/** Yield the groups of one part of the plan, by kind and reason, the largest first. */
function* part(name, title, items, states, signal) {
  if (!items.length) return;
  const groups = Map.groupBy(items, (item) => `${item.kind} ${whyOf(item)}`);
  yield element("h2", { class: `part ${name}` }, title, " ", element("span", { class: "of" }, `${items.length}`));
  for (const [key, members] of [...groups].sort(([, one], [, other]) => other.length - one.length)) {
    const state = states.get(`${name} ${key}`) ?? { node: null, most: PAGE };
    states.set(`${name} ${key}`, state);
    // Read from the node: the event that tells of a fold may come after the one that draws the plan anew.
    yield group(members, state, state.node?.open ?? name !== "stay", signal);
  }
}

function group(items, state, isOpen, signal) {
  const [{ kind }] = items;
  const size = format.total(items);
  const list = element("ul", { class: "items" });
  const node = element(
    "details",
    { class: "group", open: isOpen },
    element(
      "summary",
      {},
      element("span", { class: "title" }, `${KINDS[kind] ?? kind} · ${whyOf(items[0])}`),
      element("span", { class: "of" }, `${items.length}${size.bytes || size.at_least ? ` · ${format.amount(size)}` : ""}`),
    ),
    list,
  );
  const fill = (from) => {
    list.append(...items.slice(from, state.most).map((item) => line(item, signal)));
    const left = items.length - state.most;
    if (left > 0) {
      const more = () => {
        list.lastChild.remove();
        const shown = state.most;
        state.most += PAGE;
        fill(shown);
        list.children[shown].querySelector("button").focus();
      };
      const button = element("button", { type: "button", onclick: more }, `Show more (${left} are left)`);
      list.append(element("li", {}, button));
    }
  };
  state.node = node;
  node.addEventListener("toggle", () => {
    if (node.open && !list.hasChildNodes()) fill(0); // closed groups with thousands of items cost nothing
  });
  if (isOpen) fill(0);
  return node;
}

const called = (item) => fullName(item.name, item.facts.former_references);

function line(item, signal) {
  const why = element(
    "button",
    { type: "button", class: "why", "aria-expanded": "false", "aria-label": `Why? ${called(item)}` },
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
        element("span", { class: "name" }, item.action === "untag" ? `tag ${item.name}` : called(item)),
        " ",
        element("code", {}, format.short(item.id)),
      ),
      element("span", { class: "beneath" }, [item.policy, clocks(item.facts.clocks)].filter(Boolean).join(" · ")),
      element("span", { class: "size" }, item.bytes || item.at_least ? format.amount(item) : ""),
      why,
    ),
  );
  const turn = () => {
    const there = node.querySelector(".explanation");
    if (there) there.remove();
    else node.append(explained(item.kind, item.id, signal));
    why.setAttribute("aria-expanded", String(!there));
  };
  why.addEventListener("click", turn);
  node.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !node.querySelector(".explanation")) return;
    turn();
    why.focus();
  });
  return node;
}
