// View of one container: what it is and uses, its last hour, and what people otherwise open other tools for.

import { follow } from "../asking.js";
import { element, heading } from "../element.js";
import * as format from "../format.js";
import { HourCharts } from "../parts/hour-charts.js";
import { eventsOf, factRows, sections, used } from "../parts/container-sections.js";
import { explained } from "../parts/explanation.js";
import { problemsOf, runs } from "../parts/state.js";
import { containersAddress, remember } from "./containers.js";

/** Show the view of a container. Return a function that ends it. */
export function container(view, id) {
  remember(id);
  let seen = null; // the latest data of the container
  let details = null; // its settings, from one inspect
  const title = heading(format.short(id));
  const problems = element("p", { class: "badges" });
  const facts = element("dl", { class: "facts" });
  const limits = element("div");
  const events = element("div");
  const eventsCard = element("section", { class: "card" }, element("h2", {}, "Events"), events);
  const more = element("div", { class: "columns" }, eventsCard);
  const charts = new HourCharts();
  const ended = new AbortController();
  view.append(
    element("p", { class: "back" }, element("a", { href: containersAddress() }, "← Containers")),
    title,
    problems,
    facts,
    limits,
    element("h2", {}, "The last hour"),
    charts.node,
    more,
    element("h2", {}, "What cleaning says of it"),
    explained("container", id, ended.signal),
  );

  function draw(now) {
    const found = seen ? problemsOf(seen) : [];
    problems.replaceChildren(...found.map(([kind, text]) => element("span", { class: `badge ${kind}` }, text)));
    if (!seen) return;
    facts.replaceChildren(...factRows(seen, details, now));
    limits.replaceChildren(...used(seen, details));
  }

  const ends = [
    follow("api/v1/containers", 5, (answer) => {
      const row = answer.containers.find((each) => each.id === id);
      view.classList.toggle("is-missing", !row && !seen);
      if (!row && !seen) {
        const meant = answer.containers.filter((each) => each.id.startsWith(id));
        if (meant.length === 1) location.replace(`#containers/${meant[0].id}`);
        else title.textContent = `There is no container ${format.short(id)}`;
        return;
      }
      seen = row ?? { ...seen, state: "removed", health: null };
      title.textContent = row ? row.name : `${seen.name} (gone)`;
      document.title = `${title.textContent} · watchd`;
      draw(answer.at);
      charts.at(answer.at, Boolean(row) && runs(row));
    }),
    follow(
      `api/v1/container?id=${encodeURIComponent(id)}`,
      30,
      (answer) => {
        const isSame = JSON.stringify(answer) === JSON.stringify(details);
        details = answer;
        draw(Date.now() / 1000);
        if (!isSame && !more.contains(document.activeElement)) more.replaceChildren(...sections(details), eventsCard);
      },
      () => {},
    ),
    follow(
      `api/v1/series?id=${encodeURIComponent(id)}`,
      15,
      (answer) => charts.show(answer),
      () => charts.draw(),
    ),
    follow("api/v1/events", 15, (answer) => {
      const its = answer.events.filter((event) => event.id === id || event.container?.id === id);
      events.replaceChildren(...eventsOf(its));
    }),
  ];
  return () => {
    ended.abort();
    ends.forEach((end) => end());
    charts.close();
  };
}
