// What every protection and every policy says of one object: what `watchd explain` tells.

import { ask, isMissing, pause, worded } from "./asking.js";
import { element } from "./element.js";
import * as format from "./format.js";
import { plain, REASONS } from "./words.js";

const ACTIONS = { remove: "goes", untag: "loses a tag", keep: "stays" };

const UNSEEN = 10; // seconds: watchd looks anew for what it has not seen when its last look is that old

/** Return an element that fills with the explanation of an object, unless `signal` ends that. */
export function explained(kind, id, signal) {
  const node = element(
    "div",
    { class: "explanation", "aria-busy": "true" },
    element("p", { class: "more" }, "Asking …"),
  );
  explanation(`api/v1/explain?kind=${encodeURIComponent(kind)}&ref=${encodeURIComponent(id)}`, signal)
    .then((told) => node.replaceChildren(...tell(told)))
    .catch((error) => node.replaceChildren(element("p", { class: "more" }, `It cannot be explained: ${worded(error)}`)))
    .finally(() => node.removeAttribute("aria-busy"));
  return node;
}

/** Ask for it. What has only just come is asked for twice. */
async function explanation(path, signal) {
  try {
    return await ask(path, signal);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await pause(UNSEEN, signal);
    return ask(path, signal);
  }
}

/** What clocks of an item or a verdict say: "finished_for 19h 2m, needs 12h". */
export function clocks(readings) {
  return Object.entries(readings ?? {})
    .map(
      ([clock, { elapsed, needs }]) =>
        `${clock} ${elapsed === null ? "stands still or is unknown" : format.duration(elapsed)}, needs ${format.duration(needs)}`,
    )
    .join("; ");
}

function* tell(told) {
  const would =
    told.action !== "keep" && told.mode !== "enforce" ? "would go, if its policy enforced" : ACTIONS[told.action];
  yield element(
    "p",
    {},
    element("strong", { class: `verdict ${told.action === "keep" ? "stays" : "goes"}` }, would),
    " ",
    `${REASONS[told.reason] ?? plain(told.reason)} `,
    element("code", {}, told.reason),
  );
  yield element("p", {}, `${told.what_next[0].toUpperCase()}${told.what_next.slice(1)}.`);
  const policies = told.policies.map((policy) => [`${policy.name} (${policy.mode})`, ...opinion(policy)]);
  yield policies.length
    ? table("Policies", ["Policy", "Says", "Clocks"], policies)
    : element("p", { class: "more" }, "There is no policy for its kind.");
  const applying = told.protections.filter(({ applies }) => applies);
  const others = told.protections.filter(({ applies }) => !applies).map(({ reason }) => plain(reason));
  if (applying.length) {
    yield table(
      "Protections that apply",
      ["Protection", "Meaning", "Why"],
      applying.map(({ reason, facts }) => [plain(reason), REASONS[reason] ?? "", factsOf(facts)]),
    );
  }
  yield element("p", { class: "more" }, `Protections that do not apply: ${others.join(", ") || "none"}.`);
}

function opinion({ selects, holds, reason, clocks: readings }) {
  if (!selects) return ["does not select it", ""];
  return [holds ? "would remove it" : (REASONS[reason] ?? plain(reason)), clocks(readings)];
}

/** Facts in words. Those that have clocks in them, as clocks. */
function factsOf(facts) {
  return Object.entries(facts)
    .map(([name, value]) => {
      if (value && typeof value === "object" && "elapsed" in value) return clocks({ [name]: value });
      return `${plain(name)} ${Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : value}`;
    })
    .join("; ");
}

function table(caption, titles, rows) {
  return element(
    "div",
    { class: "table" },
    element(
      "table",
      { class: "small" },
      element("caption", {}, caption),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          titles.map((title) => element("th", { scope: "col" }, title)),
        ),
      ),
      element(
        "tbody",
        {},
        rows.map((row) =>
          element(
            "tr",
            {},
            row.map((cell, place) => element(place ? "td" : "th", place ? {} : { scope: "row" }, cell)),
          ),
        ),
      ),
    ),
  );
}
