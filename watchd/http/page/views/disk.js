// View of the disk: the whole of it by what is on it, its course, and the largest objects.

import { Options } from "../address.js";
import { follow } from "../asking.js";
import { bar, choice, element, heading } from "../element.js";
import * as format from "../format.js";
import { Chart } from "../parts/chart.js";
import { walked } from "../parts/deep.js";
import { fullName, KINDS } from "../words.js";

const COLOURS = { image: "one", container: "two", volume: "three", build_cache: "four", builder: "five", log: "seven" };
const NAMES = {
  image: "Images",
  container: "Container layers",
  volume: "Volumes",
  build_cache: "Build cache",
  builder: "Builders' caches",
  log: "Container logs",
};
const ORDER = Object.keys(NAMES);
const DEFAULTS = { kind: "" };

/** Show the view. Return a function that ends it. */
export function disk(view) {
  const options = new Options("disk", DEFAULTS);
  const disks = element("div", { class: "disks" });
  const sums = element("div", {}, element("p", { class: "more" }, "The engine is adding it up …"));
  const list = element("div");
  const kinds = [["", "all"], ...Object.entries(KINDS).filter(([kind]) => kind in NAMES)];
  const largest = element(
    "div",
    { class: "filling", hidden: true },
    element("h2", {}, "Largest objects"),
    element(
      "div",
      { class: "fields" },
      choice("Kind", kinds, options.get("kind"), (kind) => {
        options.set({ kind });
        drawList();
      }),
    ),
    list,
    element(
      "p",
      { class: "more" },
      "The size of an image leaves out layers that other images share. The engine reads all its data for these sizes, so they are rarely refreshed.",
    ),
  );
  const deep = element("div", {}, element("p", { class: "more" }, "Loading …"));
  view.append(
    heading("Disk"),
    disks,
    element("h2", {}, "What fills it"),
    element("div", { class: "filling" }, sums),
    element("div", { class: "filling" }, element("h2", {}, "Measured on the disk"), deep),
    largest,
  );
  let usage = null;
  let marks = null;
  const charts = new Map(); // by path of the disk
  const drawList = () => list.replaceChildren(...ranked(usage.largest, options.get("kind")));
  const drawDisks = () => disks.replaceChildren(...shelves(marks, usage, charts));
  const ends = [
    follow("api/v1/disk", 15, (answer) => {
      marks = answer;
      drawDisks();
    }),
    follow("api/v1/deep", 60, ({ last }) => deep.replaceChildren(...walked(last))),
    follow("api/v1/usage", 30, (answer) => {
      if (usage?.created_at === answer.created_at) return;
      usage = answer;
      if (marks) drawDisks();
      sums.replaceChildren(...fills(usage));
      largest.hidden = false;
      drawList();
    }),
  ];
  return () => {
    ends.forEach((end) => end());
    charts.forEach((chart) => chart.close());
  };
}

function* shelves({ disks, unmeasured }, usage, charts) {
  for (const why of new Set(Object.values(unmeasured))) {
    const kinds = Object.keys(unmeasured).filter((kind) => unmeasured[kind] === why);
    const names = kinds.map((kind) => NAMES[kind].toLowerCase()).join(", ");
    yield element("p", { class: "more" }, `No disk pressure for ${names}: ${why}.`);
  }
  for (const each of disks) yield shelf(each, usage, course(each, charts));
}

/** Return the chart of the last days of a disk, null before there is a course. */
function course({ path, course: points = [] }, charts) {
  if (points.length < 2) return null;
  const options = { title: "The last days", level: "h2", format: format.bytes, when: format.day, least: 1e9 };
  if (!charts.has(path)) charts.set(path, new Chart({ ...options, series: [{ label: "used", colour: "six" }] }));
  charts.get(path).show(
    points.map(([time]) => time),
    [points.map(([, bytes]) => bytes)],
  );
  return charts.get(path).node;
}

function shelf({ path, size_bytes: size, used_bytes: used, marks, full_at: full }, usage, chart) {
  const there = partsOf(path, used, usage).filter(([, , bytes]) => bytes);
  const line = element("div", { class: "stack whole-disk", "aria-hidden": "true" });
  for (const [colour, , bytes] of there) {
    const piece = element("span", { class: colour });
    piece.style.width = `${size ? (100 * bytes) / size : 0}%`;
    line.append(piece);
  }
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
  const legend = [...there, ["free", "Free", Math.max(0, size - used)]].map(([colour, name, bytes]) =>
    element("li", {}, element("span", { class: `swatch ${colour}`, "aria-hidden": "true" }), `${name} `, element("strong", {}, format.bytes(bytes))),
  );
  return element(
    "div",
    { class: "shelf" },
    element(
      "p",
      {},
      element("code", {}, path),
      " ",
      element("strong", {}, format.percent(size ? used / size : 0)),
      " ",
      element("span", { class: "of" }, `${format.bytes(used)} of ${format.bytes(size)}`),
      full && [
        " ",
        element("span", { class: "badge warns" }, `full in ${format.duration(full - Date.now() / 1000)} at the pace of the last days`),
      ],
    ),
    line,
    element("ul", { class: "legend inline" }, legend),
    marks.map((mark) =>
      element(
        "p",
        { class: "beneath" },
        `${mark.policy} acts from ${format.percent(mark.high / size)} on, until ${format.percent(mark.low / size)}`,
      ),
    ),
    chart,
  );
}

/** Return the parts of a disk as [colour, name, bytes]: the engine's by kind, then all else. */
function partsOf(path, used, usage) {
  const measured = usage?.disks.find((each) => each.path === path);
  const own = measured
    ? ORDER.filter((kind) => measured.kinds.includes(kind) && usage.kinds[kind].total !== null).map((kind) => [
        COLOURS[kind],
        NAMES[kind],
        usage.kinds[kind].total,
      ])
    : [];
  const rest = used - own.reduce((sum, [, , bytes]) => sum + bytes, 0);
  return [...own, ["rest", own.length ? "Other files" : "Used", Math.max(0, rest)]];
}

function* fills({ kinds }) {
  const all = ORDER.reduce((sum, kind) => sum + (kinds[kind]?.total ?? 0), 0);
  const least = ORDER.some((kind) => kinds[kind]?.at_least) ? "at least " : "";
  yield element("p", { class: "summary" }, element("strong", {}, `The engine uses ${least}${format.bytes(all)}.`));
  yield element(
    "ul",
    { class: "legend" },
    ORDER.map((kind) =>
      element(
        "li",
        {},
        element("span", { class: `swatch ${COLOURS[kind]}`, "aria-hidden": "true" }),
        element("span", {}, NAMES[kind]),
        " ",
        element("strong", {}, format.amount({ bytes: kinds[kind]?.total, at_least: kinds[kind]?.at_least })),
        " ",
        element("span", { class: "of" }, noteOn(kind, kinds[kind])),
      ),
    ),
  );
  yield* reclaimable(kinds);
}

function* ranked(largest, kind) {
  const shown = largest.filter((one) => !kind || one.kind === kind);
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
          one.kind === "container"
            ? element("a", { class: "name", href: `#containers/${one.id}` }, one.name)
            : element("span", { class: "name" }, fullName(one.name, one.former_references)),
          " ",
          element("span", { class: "of" }, NAMES[one.kind].replace(/s$/, "").toLowerCase(), " "),
          one.id === one.name ? null : element("code", {}, format.short(one.id)),
          one.parts.length ? element("span", { class: "of" }, ` ${partsOfImage(one.parts)}`) : null,
          one.mounted_in.length ? element("span", { class: "of" }, ` mounted in ${one.mounted_in.join(", ")}`) : null,
        ),
        element("span", { class: "size" }, format.amount(one)),
        filled,
      );
    }),
  );
  if (!shown.length) yield element("p", { class: "more" }, "None of these uses space.");
}

/** Parts of an image that are here: "linux/amd64 207kB, linux/arm64 101kB, 2 attestations". */
function partsOfImage(parts) {
  const here = parts.filter(({ available }) => available);
  const platforms = here.filter(({ kind }) => kind === "image");
  const attestations = here.filter(({ kind }) => kind === "attestation").length;
  const told = platforms.map(({ platform, bytes }) => `${platform} ${format.bytes(bytes)}`);
  if (attestations) told.push(format.plural("attestation", attestations));
  return told.join(", ");
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
    "ul",
    { class: "claims" },
    claims.map((claim) =>
      element(
        "li",
        {},
        element("strong", {}, claim.name),
        ` would remove ${format.plural(claim.kind, claim.count)}, ${format.amount(claim)}${claim.mode === "report" ? ", but only reports" : ""}`,
      ),
    ),
  );
}
