// Picture of the networks: a line down for each network, and a row for the containers that are on the same ones. Where
// there is no room for that: a list of the networks, with the containers on each.

import { element } from "../element.js";
import { portsOf } from "./container-columns.js";
import { stateOf, tone } from "./state.js";

const COLOURS = ["one", "two", "three", "four", "five"];

/** Return the containers of networks, each as its `row` and the `places` of its networks. */
function placed(networks) {
  const on = new Map(); // by ID
  networks.forEach((network, place) => {
    for (const row of network.containers) {
      const known = on.get(row.id) ?? { row, places: [] };
      known.places.push(place);
      on.set(row.id, known);
    }
  });
  return [...on.values()].sort((one, other) => (one.row.name < other.row.name ? -1 : 1));
}

const region = (...content) =>
  element("div", { class: "picture", role: "region", "aria-label": "Picture of the networks", tabindex: "0" }, content);

/** Return a list of networks with containers. A container stands at the smallest of its networks, with the others named. */
export function list(networks) {
  const names = networks.map(({ name }) => name);
  const groups = [...Map.groupBy(placed(networks), ({ places }) => places.at(-1))].sort(([one], [other]) => one - other);
  const several = groups.filter(([, members]) => members.length > 1);
  const alone = groups.filter(([, members]) => members.length === 1).flatMap(([, members]) => members);
  return region(
    several.map(([place, members]) =>
      part(
        names[place],
        members.map(({ row, places }) => chip(row, also(places.slice(0, -1), names))),
      ),
    ),
    alone.length > 0 &&
      part(
        several.length ? "Alone on their networks" : "Networks",
        alone.map(({ row, places }) => chip(row, places.map((place) => names[place]).reverse().join(", "))),
      ),
  );
}

const also = (places, names) => places.length > 0 && `also ${places.map((place) => names[place]).join(", ")}`;

function part(title, chips) {
  return element(
    "section",
    { class: "of-network" },
    element("h2", {}, title),
    element("ul", {}, chips.map((each) => element("li", {}, each))),
  );
}

/** Return the picture of networks with containers, those with most containers first. */
export function picture(networks) {
  const names = networks.map(({ name }) => name);
  const rows = [...Map.groupBy(placed(networks), ({ places }) => places.join(" ")).values()];
  rows.sort(([one], [other]) => one.places.at(-1) - other.places.at(-1) || one.places.length - other.places.length);
  const reach = names.map((_name, place) => {
    const at = rows.map((members, number) => (members[0].places.includes(place) ? number : -1)).filter((n) => n >= 0);
    return [at[0], at.at(-1)];
  });
  return region(
    element(
      "table",
      {},
      element("caption", { class: "unseen" }, "Which containers are on which networks"),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          names.map((name, place) =>
            element("th", { scope: "col", class: COLOURS[place % COLOURS.length] }, element("span", { title: name }, name)),
          ),
          element("th", { scope: "col", class: "members" }, "Containers"),
        ),
      ),
      element(
        "tbody",
        {},
        rows.map((members, number) => line(members, number, names, reach)),
      ),
    ),
  );
}

function line(members, number, names, reach) {
  const { places } = members[0];
  const cells = names.map((name, place) => {
    const isOn = places.includes(place);
    const [first, last] = reach[place];
    const kinds = [
      COLOURS[place % COLOURS.length],
      isOn && "on",
      number > first && number <= last && "above",
      number >= first && number < last && "below",
      place >= places[0] && place < places.at(-1) && "across",
    ];
    return element("td", { class: kinds.filter(Boolean).join(" ") }, isOn ? element("span", { class: "unseen" }, `on ${name}`) : "");
  });
  const chips = members.map(({ row }) => element("li", {}, chip(row)));
  return element("tr", {}, cells, element("td", { class: "members" }, element("ul", {}, chips)));
}

function chip(row, further) {
  const ports = portsOf(row);
  return element(
    "a",
    { href: `#containers/${row.id}`, class: `chip state ${tone(row)}`, title: stateOf(row) },
    row.name,
    ports && element("span", { class: "of" }, ports),
    further && element("span", { class: "of" }, further),
  );
}
