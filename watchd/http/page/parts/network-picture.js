// Picture of the networks: a line down for each network, and a row for the containers that are on the same ones.

import { element } from "../element.js";
import { portsOf } from "./container-columns.js";
import { tone } from "./state.js";

const COLOURS = ["one", "two", "three", "four", "five"];

/** Return the picture of networks with containers, those with most containers first. */
export function picture(networks) {
  const names = networks.map(({ name }) => name);
  const on = new Map(); // by container: its data, and the places of its networks
  networks.forEach((network, place) => {
    for (const row of network.containers) {
      const known = on.get(row.id) ?? { row, places: [] };
      known.places.push(place);
      on.set(row.id, known);
    }
  });
  const rows = [...Map.groupBy(on.values(), ({ places }) => places.join(" ")).values()];
  rows.sort(([one], [other]) => one.places.at(-1) - other.places.at(-1) || one.places.length - other.places.length);
  const reach = names.map((_name, place) => {
    const at = rows.map((members, number) => (members[0].places.includes(place) ? number : -1)).filter((n) => n >= 0);
    return [at[0], at.at(-1)];
  });
  return element(
    "div",
    { class: "picture", role: "region", "aria-label": "Picture of the networks", tabindex: "0" },
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
  const chips = members
    .map(({ row }) => row)
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .map((row) => element("li", {}, chip(row)));
  const on = element("p", { class: "of names" }, places.map((place) => names[place]).join(", "));
  return element("tr", {}, cells, element("td", { class: "members" }, on, element("ul", {}, chips)));
}

function chip(row) {
  const ports = portsOf(row);
  return element(
    "a",
    { href: `#containers/${row.id}`, class: `chip state ${tone(row)}` },
    row.name,
    ports && element("span", { class: "of" }, ports),
  );
}
