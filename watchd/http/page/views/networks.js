// View of the networks: which containers share which, their addresses, and what passes there now.

import { Options } from "../address.js";
import { follow } from "../asking.js";
import { cutInside, element, foldButton, heading, search } from "../element.js";
import * as format from "../format.js";
import { list, picture } from "../parts/network-picture.js";
import { both, network as traffic, runs, stateOf } from "../parts/state.js";
import { Table } from "../parts/table.js";

const EVERY = 5; // seconds
const SOON = 1; // seconds until the next request while the traffic is not known yet
const PATIENCE = 8; // such requests
const DEFAULTS = { sort: "network", order: "rises", filter: "" };
const FEW = 60; // containers: with more, the networks of the table are folded

const folded = new Map(); // by network, what the user chose

const NARROW = 600; // pixels
const COLUMN = 30; // pixels of a network in the picture
const MOST_FOR_COLUMNS = 0.5; // of the picture's width

/** Show the view. Return a function that ends it. */
export function networks(view) {
  const options = new Options("networks", DEFAULTS);
  let known = [];
  let rows = [];
  let early = 0;
  const summary = element("span");
  const legend = element("span");
  const drawing = element("div");
  const unused = element("p", { class: "more" });
  const isOpen = (name) => Boolean(options.get("filter")) || !(folded.get(name) ?? rows.length > FEW);
  const table = new Table({
    caption: "Containers by network",
    columns: columns((name) => {
      folded.set(name, isOpen(name));
      table.draw();
    }),
    key: (row) => `${row.network.id} ${row.id}`,
    options,
    empty: "No container is on a network.",
    dense: true,
    grouping: { key: (row) => row.network.name, head: (name, members) => headOf(name, members, isOpen(name)), isOpen },
  });
  const field = search("Filter", options.get("filter"), (text) => {
    options.set({ filter: text });
    table.draw();
  });
  table.accepts = (row) =>
    `${row.name} ${row.network.name} ${row.ipv4} ${row.ipv6} ${row.portText}`.toLowerCase().includes(options.get("filter"));
  view.append(
    heading("Networks"),
    element("p", { class: "summary" }, summary, legend),
    drawing,
    unused,
    element("h2", {}, "Addresses and traffic"),
    element("div", { class: "fields" }, field),
    table.node,
  );

  // Networks are columns where these leave room for the containers, else a list.
  let used = [];
  let isList = null;
  const arrange = () => {
    const width = drawing.clientWidth;
    const needed = width < NARROW || used.length * COLUMN > width * MOST_FOR_COLUMNS;
    if (isList !== needed && used.length && !drawing.contains(document.activeElement)) draw(needed);
  };
  const draw = (asList) => {
    isList = asList;
    drawing.replaceChildren(isList ? list(used) : picture(used));
    legend.textContent = isList
      ? "A container stands at the smallest of its networks; the others are beside its name."
      : "Containers in a row share all the networks of that row, so they reach each other.";
  };
  const sizes = new ResizeObserver(arrange);
  sizes.observe(drawing);

  const end = follow("api/v1/networks", EVERY, ({ networks: all }) => {
    rows = all.flatMap((network) =>
      network.containers.map((row) => ({ ...row, network, portText: portsOf(row) })),
    );
    rows.sort((one, other) => (one.name < other.name ? -1 : 1));
    used = all.filter((network) => network.containers.length);
    const without = all.filter((network) => !network.containers.length).map(({ name }) => name);
    summary.textContent = `${format.plural("network", all.length)}, ${used.length} with containers. `;
    unused.textContent = without.length ? `Without containers: ${without.join(", ")}.` : "";
    const drawn = all.map(({ id, name, containers }) => [id, name, containers.map((row) => [row.id, row.name, stateOf(row), portsOf(row)])]);
    if (JSON.stringify(drawn) !== JSON.stringify(known)) {
      known = drawn;
      if (!drawing.contains(document.activeElement)) {
        isList = null;
        if (used.length) arrange();
        else drawing.replaceChildren();
      }
    }
    table.update(rows);
    early += 1;
    return early <= PATIENCE && rows.every((row) => traffic(row) === null) ? SOON : EVERY;
  });
  return () => {
    end();
    sizes.disconnect();
  };
}

const portsOf = ({ ports }) =>
  [...new Set(ports.map((each) => `${each.host_ip === "::" ? "0.0.0.0" : each.host_ip}:${each.host_port} → ${each.port}`))].join(", ");

function headOf(name, members, isOpen) {
  const sum = (field) => members.reduce((total, row) => both(total, row[field]), null);
  return {
    name,
    isOpen,
    network: members[0].network,
    count: members.length,
    portText: "",
    network_receive_bytes_per_second: sum("network_receive_bytes_per_second"),
    network_transmit_bytes_per_second: sum("network_transmit_bytes_per_second"),
  };
}

const columns = (fold) => [
  {
    title: "Network",
    name: "network",
    style: "what",
    value: (row) => row.network.name,
    says: (row) => `${row.name} ${row.network.name} ${row.isOpen} ${row.count} ${row.inGroup}`,
    show: (row) => (row.count ? head(row, fold) : [member(row), element("span", { class: "beneath until-small" }, row.ipv4)]),
  },
  {
    title: "Address",
    name: "address",
    from: "small",
    style: "cut",
    value: (row) => row.ipv4 || null,
    says: (row) => `${row.ipv4} ${row.ipv6} ${row.count}`,
    show: (row) =>
      row.count
        ? whole(row.network.subnets.join(", "), "faint")
        : whole([row.ipv4, row.ipv6].filter(Boolean).join(", ") || (row.network.driver === "host" && runs(row) ? "the host's" : format.UNKNOWN)),
  },
  {
    title: "Published",
    name: "published",
    from: "medium",
    style: "cut",
    value: (row) => row.portText || null,
    show: (row) => whole(row.portText),
  },
  {
    title: "Received",
    name: "received",
    number: true,
    value: (row) => row.network_receive_bytes_per_second,
    show: (row) => format.rate(row.network_receive_bytes_per_second),
  },
  {
    title: "Sent",
    name: "sent",
    number: true,
    value: (row) => row.network_transmit_bytes_per_second,
    show: (row) => format.rate(row.network_transmit_bytes_per_second),
  },
  {
    title: "Traffic",
    name: "traffic",
    number: true,
    from: "wide",
    value: traffic,
    show: (row) => format.rate(traffic(row)),
  },
];

/** A text that is told as a whole where it is cut. */
const whole = (text, style) => element("span", { title: text, class: style }, text);

function head({ name, network, isOpen, count }, fold) {
  const attributes = { "aria-expanded": String(isOpen), onclick: () => fold(name) };
  const words = [format.plural("container", count), network.driver, network.internal && "internal"].filter(Boolean);
  return [
    foldButton(name, attributes),
    whole(words.join(", "), "of"),
  ];
}

function member(row) {
  return [
    element("a", { href: `#containers/${row.id}`, class: "name", title: row.name, "aria-label": row.name }, cutInside(row.name)),
    row.inGroup ? null : element("span", { class: "of" }, `on ${row.network.name}`),
    row.shared_by.length ? element("span", { class: "of" }, `with ${row.shared_by.join(", ")}`) : null,
  ].filter(Boolean);
}
