// The plan as it stands now: what would go and what stays, each with its reason.

import { follow } from "./asking.js";
import { choice, element, heading, offer, search } from "./element.js";
import { clocks, explained } from "./explanation.js";
import * as format from "./format.js";
import { KINDS, plain, REASONS } from "./words.js";

const EVERY = 15; // seconds; the daemon makes a new one once a minute
const AT_ONCE = 100; // items of a group
const PARTS = [
  ["go", "Would go", (item) => item.action !== "keep" && item.mode === "enforce"],
  ["reported", "Would go if its policy enforced", (item) => item.action !== "keep" && item.mode !== "enforce"],
  ["stay", "Stays", (item) => item.action === "keep"],
];

let wanted = { text: "", kind: "", reason: "" }; // stays from one visit to the next

/** Show the view. Return what ends it. */
export function plan(view) {
  let shown = null;
  const looks = new Map(); // how each group is looked at: whether it is open, and how many of its items are shown
  const ended = new AbortController();
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
  const title = heading("Plan");
  const news = element("p", { class: "stale", role: "status" });
  view.append(title, summary, fields, news, groups);

  function change(to) {
    wanted = { ...wanted, ...to };
    if (shown) draw();
  }

  function draw() {
    news.replaceChildren();
    const items = shown.items.filter(
      (item) =>
        (!wanted.kind || item.kind === wanted.kind) &&
        (!wanted.reason || item.reason === wanted.reason) &&
        `${item.name} ${item.names.join(" ")} ${item.id} ${item.policy ?? ""} ${item.reason}`
          .toLowerCase()
          .includes(wanted.text),
    );
    groups.replaceChildren(
      ...PARTS.flatMap(([name, title, belongs]) => [...part(name, title, items.filter(belongs), looks, ended.signal)]),
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

  /** What someone is reading is not taken away: it is told that there is a newer one. */
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
    if (!there.includes(wanted.reason)) wanted.reason = "";
    offer(reasons, [["", "all"], ...there.map((reason) => [reason, plain(reason)])], wanted.reason);
    if (!isRead()) draw();
    else if (!isSame) offerNewer();
  });
  return () => {
    end();
    ended.abort();
  };
}

/** All that a plan decides, without the clocks, which go on from one plan to the next. */
const decisions = ({ items }) =>
  JSON.stringify(
    items.map(({ kind, id, name, action, policy, mode, reason }) => [kind, id, name, action, policy, mode, reason]),
  );

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
function* part(name, title, items, looks, signal) {
  if (!items.length) return;
  const groups = Map.groupBy(items, (item) => `${item.kind} ${item.reason}`);
  yield element("h2", { class: `part ${name}` }, title, " ", element("span", { class: "of" }, `${items.length}`));
  for (const [key, members] of [...groups].sort(([, one], [, other]) => other.length - one.length)) {
    const look = looks.get(`${name} ${key}`) ?? { isOpen: name !== "stay", most: AT_ONCE };
    looks.set(`${name} ${key}`, look);
    yield group(members, look, signal);
  }
}

function group(items, look, signal) {
  const [{ kind, reason }] = items;
  const size = items.reduce((sum, item) => sum + (item.action === "untag" ? 0 : item.bytes), 0);
  const list = element("ul", { class: "items" });
  const node = element(
    "details",
    { class: "group", open: look.isOpen },
    element(
      "summary",
      {},
      element("span", { class: "title" }, `${KINDS[kind] ?? kind}: ${REASONS[reason] ?? plain(reason)}`),
      element("span", { class: "of" }, `${items.length}${size ? ` · ${format.bytes(size)}` : ""}`),
      element("code", {}, reason),
    ),
    list,
  );
  const fill = (from) => {
    list.append(...items.slice(from, look.most).map((item) => line(item, signal)));
    const left = items.length - look.most;
    if (left > 0) {
      const more = () => {
        list.lastChild.remove();
        const shown = look.most;
        look.most += AT_ONCE;
        fill(shown);
        list.children[shown].querySelector("button").focus();
      };
      const button = element("button", { type: "button", onclick: more }, `Show more (${left} are left)`);
      list.append(element("li", {}, button));
    }
  };
  node.addEventListener("toggle", () => {
    look.isOpen = node.open;
    if (node.open && !list.hasChildNodes()) fill(0); // thousands of items cost nothing until they are looked at
  });
  if (look.isOpen) fill(0);
  return node;
}

function line(item, signal) {
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
    else node.append(explained(item.kind, item.id, signal));
    why.setAttribute("aria-expanded", String(!there));
  });
  return node;
}
