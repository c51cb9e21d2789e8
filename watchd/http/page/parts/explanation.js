// Explanation of one object, as `watchd explain` prints it: its protections and policies.

import { ask, errorText, isMissing, pause } from "../asking.js";
import { element, smallTable } from "../element.js";
import * as format from "../format.js";
import { plain, PROTECTIONS, REASONS } from "../words.js";

const RETRY_DELAY = 10; // seconds: for an unknown object watchd renews a plan that is older

/** Return an element that loads the explanation of an object, until `signal` is aborted. */
export function explained(kind, id, signal) {
  const node = element(
    "div",
    { class: "explanation", "aria-busy": "true" },
    element("p", { class: "more" }, "Loading …"),
  );
  explanation(`api/v1/explain?kind=${encodeURIComponent(kind)}&ref=${encodeURIComponent(id)}`, signal)
    .then((answer) => node.replaceChildren(...content(answer)))
    .catch((error) => node.replaceChildren(element("p", { class: "more" }, `No explanation: ${errorText(error)}`)))
    .finally(() => node.removeAttribute("aria-busy"));
  return node;
}

/** Request an explanation, twice if the object is unknown: it may be newer than the plan. */
async function explanation(path, signal) {
  try {
    return await ask(path, signal);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await pause(RETRY_DELAY, signal);
    return ask(path, signal);
  }
}

/** Format clocks: "finished_for 19h 2m, needs 12h". */
export function clocks(readings) {
  return Object.entries(readings ?? {})
    .map(
      ([clock, { elapsed, needs, stopped }]) =>
        `${clock} ${elapsed === null ? without(stopped) : format.duration(elapsed)}, needs ${format.duration(needs)}`,
    )
    .join("; ");
}

const without = (stopped) => (stopped ? "stands still" : "is unknown");

function* content(answer) {
  const [, becomes, why] = answer.verdict.match(/^([^:,]+)(.*)$/s);
  yield element(
    "p",
    {},
    element("strong", { class: `verdict ${answer.action === "keep" ? "stays" : "goes"}` }, becomes),
    `${why}.`,
  );
  const parts = answer.parts && `parts: ${answer.parts.summary}`;
  const sentences = [answer.what_next, answer.builds?.summary, answer.sharing?.summary, parts].filter(Boolean);
  for (const said of sentences) yield element("p", {}, `${said[0].toUpperCase()}${said.slice(1)}.`);
  const policies = answer.policies.map((policy) => [`${policy.name} (${policy.mode})`, ...verdict(policy)]);
  yield policies.length
    ? smallTable("Policies", ["Policy", "Says", "Clocks"], policies)
    : element("p", { class: "more" }, "There is no policy for its kind.");
  const applying = answer.protections.filter(({ applies }) => applies);
  const others = answer.protections.filter(({ applies }) => !applies).map(({ reason }) => PROTECTIONS[reason] ?? plain(reason));
  if (applying.length) {
    yield smallTable(
      "Protections that apply",
      ["Protection", "Why"],
      applying.map(({ reason, facts }) => [REASONS[reason] ?? plain(reason), factsOf(facts)]),
    );
  }
  yield element("p", { class: "more" }, `Protections that do not apply: ${others.join(", ") || "none"}.`);
}

function verdict({ selects, holds, reason, clocks: readings }) {
  if (!selects) return ["does not select it", ""];
  if (holds) return ["would remove it", clocks(readings)];
  return [reason === "condition_not_met" ? "its conditions do not hold yet" : (REASONS[reason] ?? plain(reason)), clocks(readings)];
}

/** Format facts, and clocks among them. */
function factsOf(facts) {
  return Object.entries(facts)
    .map(([name, value]) => {
      if (value && typeof value === "object" && "elapsed" in value) return clocks({ [name]: value });
      return `${plain(name)} ${Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : value}`;
    })
    .join("; ");
}
