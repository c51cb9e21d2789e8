// View of the disk: watermarks, and use by kind and by object.

import { follow } from "./asking.js";
import { bar, choice, element, heading } from "./element.js";
import * as format from "./format.js";
import { fullName, KINDS } from "./words.js";

const COLOURS = { image: "one", container: "two", volume: "three", build_cache: "four" };
const NAMES = { image: "Images", container: "Container layers", volume: "Volumes", build_cache: "Build cache" };

let wanted = ""; // a kind; kept between visits of the view

/** Show the view. Return a function that ends it. */
export function disk(view) {
  const disks = element("div", { class: "disks" });
  const sums = element("div", {}, element("p", { class: "more" }, "The engine is adding it up …"));
  const list = element("div");
  const kinds = [["", "all"], ...Object.entries(KINDS).filter(([kind]) => kind in NAMES)];
  const largest = element(
    "div",
    { hidden: true },
    element("h2", {}, "The largest"),
    element(
      "div",
      { class: "fields" },
      choice("Kind", kinds, wanted, (kind) => {
        wanted = kind;
        drawList();
      }),
    ),
    list,
    element(
      "p",
      { class: "more" },
      "Of an image, what no other image has. The engine walks all of it for this, so it is not asked all the time.",
    ),
  );
  const filling = element("div", { class: "filling" }, sums, largest);
  view.append(heading("Disk"), disks, element("h2", {}, "What fills it"), filling);
  let known = null;
  const drawList = () => list.replaceChildren(...ranked(known.largest));
  const ends = [
    follow("api/v1/disk", 15, (answer) => disks.replaceChildren(...shelves(answer))),
    follow("api/v1/usage", 30, (answer) => {
      if (known?.created_at === answer.created_at) return;
      known = answer;
      sums.replaceChildren(...fills(known));
      largest.hidden = false;
      drawList();
    }),
  ];
  return () => ends.forEach((end) => end());
}

function* shelves({ disks, unmeasured }) {
  for (const why of new Set(Object.values(unmeasured))) {
    const kinds = Object.keys(unmeasured).filter((kind) => unmeasured[kind] === why);
    const names = kinds.map((kind) => NAMES[kind].toLowerCase()).join(", ");
    yield element("p", { class: "more" }, `No disk pressure for ${names}: ${why}.`);
  }
  for (const { path, size_bytes: size, used_bytes: used, marks } of disks) {
    const share = size ? used / size : 0;
    const line = bar(share, share > 0.9 ? "full" : "");
    line.classList.add("large");
    for (const mark of marks) {
      for (const [which, at] of [
        ["high", mark.high],
        ["low", mark.low],
      ]) {
        const notch = element("span", { class: `mark ${which}` });
        notch.style.left = `${(100 * at) / size}%`;
        line.append(notch);
      }
    }
    yield element(
      "div",
      { class: "shelf" },
      element(
        "p",
        {},
        element("code", {}, path),
        " ",
        element("strong", {}, format.percent(share)),
        " ",
        element("span", { class: "of" }, `${format.bytes(used)} of ${format.bytes(size)}`),
      ),
      line,
      marks.map((mark) =>
        element(
          "p",
          { class: "beneath" },
          `${mark.policy} acts from ${format.percent(mark.high / size)} on, until ${format.percent(mark.low / size)}`,
        ),
      ),
    );
  }
}

function* fills({ kinds, disks }) {
  const parts = ["image", "container", "volume", "build_cache"].map((kind) => [kind, kinds[kind]?.total]);
  const more = Object.values(kinds).some((kind) => kind.at_least);
  const beyond = disks.reduce((sum, each) => sum + (each.unaccounted ?? 0), 0);
  const all = parts.reduce((sum, [, size]) => sum + (size ?? 0), 0);
  const line = element("div", { class: "stack", "aria-hidden": "true" });
  for (const [kind, size] of parts) {
    const piece = element("span", { class: COLOURS[kind] });
    piece.style.width = `${all ? (100 * (size ?? 0)) / all : 0}%`;
    line.append(piece);
  }
  yield element(
    "p",
    { class: "summary" },
    element("strong", {}, `${more ? "At least " : ""}${format.bytes(all)} are the engine's.`),
    beyond ? ` All else on its disk takes ${format.bytes(beyond)}: logs, other programs' files.` : "",
  );
  yield line;
  yield element(
    "ul",
    { class: "legend" },
    parts.map(([kind, size]) =>
      element(
        "li",
        {},
        element("span", { class: `swatch ${COLOURS[kind]}`, "aria-hidden": "true" }),
        element("span", {}, NAMES[kind]),
        " ",
        element("strong", {}, format.amount({ bytes: size, at_least: kinds[kind]?.at_least })),
        " ",
        element("span", { class: "of" }, noteOn(kind, kinds[kind])),
      ),
    ),
  );
  yield* reclaimable(kinds);
}

function* ranked(largest) {
  const shown = largest.filter((one) => !wanted || one.kind === wanted);
  const most = Math.max(...shown.map((one) => one.bytes), 1);
  yield element(
    "ol",
    { class: "largest" },
    shown.map((one) => {
      const filled = bar(one.bytes / most, COLOURS[one.kind]);
      return element(
        "li",
        {},
        element(
          "span",
          {},
          element("span", { class: "name" }, fullName(one.name, one.former_references)),
          " ",
          element("span", { class: "of" }, NAMES[one.kind].replace(/s$/, "").toLowerCase(), " "),
          one.id === one.name ? null : element("code", {}, format.short(one.id)),
          one.mounted_in.length ? element("span", { class: "of" }, `mounted in ${one.mounted_in.join(", ")}`) : null,
        ),
        element("span", { class: "size" }, format.amount(one)),
        filled,
      );
    }),
  );
  if (!shown.length) yield element("p", { class: "more" }, "Nothing of that takes any room.");
}

function noteOn(kind, { count, shared }) {
  return [format.plural(kind, count), shared && `${format.bytes(shared)} shared`].filter(Boolean).join(", ");
}

function* reclaimable(kinds) {
  const claims = Object.entries(kinds).flatMap(([kind, { policies }]) =>
    policies.map((policy) => ({ kind, ...policy })),
  );
  if (!claims.length) return;
  yield element(
    "p",
    { class: "summary" },
    "Policies would take: ",
    claims
      .map((claim, place) => [
        place ? "; " : "",
        element("strong", {}, format.amount(claim)),
        ` of ${format.plural(claim.kind, claim.count)} by ${claim.name}${claim.mode === "report" ? " (only reports)" : ""}`,
      ])
      .flat(),
    ".",
  );
}
