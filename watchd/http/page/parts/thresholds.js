// Thresholds by evidence, as `watchd advise` tells them: worked out only when the user asks for it.

import { follow } from "../asking.js";
import { element, smallTable } from "../element.js";
import * as format from "../format.js";
import { KINDS } from "../words.js";
import { Curve } from "./curve.js";

const EVERY = 2; // seconds, while it is being worked out

/** Folded section that shows them on demand. */
export class Thresholds {
  constructor() {
    this.end = () => {};
    this.curves = [];
    this.button = element("button", { type: "button", onclick: () => this.#ask() }, "Work out from this host's past");
    this.state = element("p", { class: "more", role: "status" });
    this.found = element("div");
    const about = element(
      "p",
      { class: "more" },
      "How long to keep what nobody uses: what each threshold would have kept here, and what would have been needed again after its removal. It takes up to a minute. It is what ",
      element("code", {}, "watchd advise"),
      " shows.",
    );
    this.node = element(
      "details",
      { class: "group thresholds" },
      element("summary", {}, element("span", { class: "title" }, "Thresholds"), element("span", { class: "of" }, "by this host's past")),
      element("div", { class: "inner" }, about, this.button, this.state, this.found),
    );
  }

  /** Ask no further. */
  close() {
    this.end();
    this.curves.forEach((curve) => curve.close());
  }

  #ask() {
    if (this.button.getAttribute("aria-disabled") === "true") return;
    this.button.setAttribute("aria-disabled", "true"); // a button that is disabled would lose the focus
    this.state.textContent = "It is being worked out …";
    this.end = follow("api/v1/advice", EVERY, (answer) => {
      if (answer.state === "computing") return;
      this.end();
      this.button.removeAttribute("aria-disabled");
      if (answer.state === "failed") this.state.textContent = `It could not be worked out: ${answer.error}.`;
      else this.#show(answer);
    });
  }

  #show({ computed_at: made, advice }) {
    const hadFocus = document.activeElement === this.button;
    const [since, until] = [advice.since, advice.until].map(format.seconds);
    const unwatched = advice.unwatched_seconds;
    const left = unwatched ? ` ${format.duration(unwatched)} of it were not watched and are left out.` : "";
    this.state.textContent = `From ${format.moment(since)} to ${format.moment(until)}, ${format.duration(until - since)}.${left} A removal counts as a regret if the object was needed again within ${format.duration(advice.regret_window_seconds)}. Worked out ${format.moment(made)}.`;
    const kinds = Object.entries(advice.kinds).map(([kind, of]) => this.#kind(KINDS[kind], of));
    this.found.replaceChildren(element("div", { class: "advised" }, kinds), ...advice.disks.map(disk));
    this.button.remove();
    if (hadFocus) this.found.querySelector("h2").focus({ preventScroll: true });
  }

  #kind(title, of) {
    const card = element("section", { class: "card" }, element("h2", { tabindex: "-1" }, title));
    if (of.thresholds.some(({ decided }) => decided !== null)) {
      const curve = new Curve(title, of);
      this.curves.push(curve);
      card.append(legend(of), curve.node);
      card.append(smallTable(`${title} by threshold`, ["Threshold", "Kept", "Removed", "Regrets", "Fetched again"], rows(of)));
    }
    if (of.note) card.append(element("p", { class: "more" }, of.note));
    if (of.recommended) card.append(element("pre", {}, of.recommended.toml));
    return card;
  }
}

function legend({ recommended, today_seconds: today, mean_bytes: all }) {
  const entry = (kind, words) => element("li", {}, element("span", { class: `swatch ${kind}` }), words);
  return element(
    "ul",
    { class: "legend inline" },
    recommended && entry("recommended", `recommended: ${format.duration(recommended.seconds)}`),
    today.length ? entry("today", `today: ${today.map(format.duration).join(", ")}`) : element("li", {}, "no policy today"),
    all ? element("li", {}, `with nothing removed: ${format.bytes(all)}`) : null,
  );
}

function rows({ thresholds, recommended, today_seconds: today }) {
  return thresholds.map((each) => {
    const marks = [recommended?.seconds === each.seconds && "recommended", today.includes(each.seconds) && "today"];
    const name = [format.duration(each.seconds), element("span", { class: "beneath" }, marks.filter(Boolean).join(", "))];
    if (each.decided === null) return [name, ...Array(4).fill(format.UNKNOWN)];
    const { mean_bytes: kept, removed, regrets, decided, regretted_bytes: again } = each;
    return [name, format.bytes(kept), format.count(removed), `${regrets} of ${decided}`, format.bytes(again)];
  });
}

function disk({ path, size_bytes: size, peak_bytes: peak, growth_bytes: growth, high_percent: high, low_percent: low }) {
  const used = `Disk ${path}: at most ${format.percent(peak / Math.max(1, size))} of ${format.bytes(size)} were used. `;
  const marks =
    high === null
      ? "It was measured too seldom to recommend marks."
      : `It never grew by more than ${format.bytes(growth)} in an hour, and these marks leave twice that: pressure.high = "${high}%", pressure.low = "${low}%".`;
  return element("p", { class: "more" }, used, marks);
}
