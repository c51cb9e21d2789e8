// What `watchd df --deep` found when it was run last: the engine's data by kind and holder.

import { element, smallTable } from "../element.js";
import * as format from "../format.js";

const command = () => element("code", {}, "watchd df --deep");

/** Yield the last result, or how to get one. */
export function* walked(last) {
  if (!last) {
    yield element(
      "p",
      { class: "more" },
      command(),
      " measures the engine's directories and finds data that the engine does not list. Run it as root on the host; its last result is shown here.",
    );
    return;
  }
  const shown = last.data.filter(({ bytes }) => bytes);
  yield smallTable(
    "The engine's data by who holds it",
    ["Data", "Size", "Count", "Largest"],
    shown.map((share) => [
      [
        element("span", { class: share.unexpected && "state warns" }, share.title),
        share.advice && element("span", { class: "beneath" }, advice(share)),
      ],
      format.bytes(share.bytes),
      format.count(share.count),
      share.largest
        .slice(0, 3)
        .map(({ name, bytes }) => `${format.short64(name)} ${format.bytes(bytes)}`)
        .join(", "),
    ]),
  );
  const made = format.seconds(last.created_at);
  yield element(
    "p",
    { class: "more" },
    ...last.disks.map(({ path, outside }) => `${format.bytes(outside)} of the disk of ${path} are outside of this. `),
    last.not_walked.length ? `On other disks, not walked: ${last.not_walked.join(", ")}. ` : "",
    ...last.notes.map((note) => `Note: ${note}. `),
    `${last.files} files, walked ${format.ago(made)} ago (${format.moment(made)}) by `,
    command(),
    ".",
  );
}

function advice({ advice: text, held_until: until }) {
  const left = until ? format.seconds(until) - Date.now() / 1000 : 0;
  return left > 0 ? `${text} (the last ends in ${format.duration(left)})` : text;
}
