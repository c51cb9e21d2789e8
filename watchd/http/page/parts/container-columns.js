// Columns of the table of containers, and the row that stands for a project.

import { cutInside, element, foldButton } from "../element.js";
import * as format from "../format.js";
import { both, disk, logProblem, network, problemsOf, rank, runs, shortStateOf, since, stateOf, tone } from "./state.js";
import { spark } from "./tails.js";

/** Small graphs by series, and the least top of their scale for a row. */
export const SPARKS = [
  ["cpu_cores", (row) => row.cpu_limit_cores ?? 0.05],
  ["memory_bytes", (row) => row.memory_limit_bytes ?? 2 * (row.memory_bytes ?? 0)],
  ["network_bytes_per_second", () => 1000],
];

/** Project of a container, null if it has none. */
export const projectOf = (row) => row.compose_project;

/** Published ports: "8080→80/tcp". */
export function portsOf(row) {
  const ports = row.ports ?? [];
  return [...new Set(ports.map((each) => `${each.host_port}→${each.port.replace("/tcp", "")}`))].join(", ");
}

const SUMMED = [
  "cpu_cores",
  "memory_bytes",
  "network_receive_bytes_per_second",
  "network_transmit_bytes_per_second",
  "disk_read_bytes_per_second",
  "disk_write_bytes_per_second",
  "log_bytes",
  "processes",
  "restarts",
];

/** Return the row of a project: sums of its containers. */
export function sumOf(name, members, isOpen) {
  const sums = Object.fromEntries(
    SUMMED.map((field) => [field, members.reduce((sum, row) => both(sum, row[field]), null)]),
  );
  const starts = members.map(since).filter((time) => time !== null);
  return {
    ...sums,
    name,
    isOpen,
    isProject: true,
    members: members.map((row) => row.id),
    rank: Math.min(...members.map(rank)),
    running: members.filter(runs).length,
    count: members.length,
    troubled: members.filter((row) => problemsOf(row).length).length,
    since: starts.length ? Math.min(...starts) : null,
  };
}

/** Return the columns. `context`: `now`, `host`, `fold(project)`, `isReturn(id)`. */
export function columnsOf(context) {
  return [
    {
      title: "Name",
      name: "name",
      style: "what",
      value: (row) => row.name,
      says: (row) => `${row.name} ${row.image} ${row.compose_project} ${row.isOpen} ${stateText(row)} ${row.inGroup}`,
      show: (row) => (row.isProject ? project(row, context) : name(row, context)),
    },
    {
      title: "State",
      name: "state",
      from: "small",
      value: (row) => row.rank ?? rank(row),
      says: (row) => `${stateText(row)} ${row.isProject ? "" : tone(row)}`,
      show: (row) => stateParts(row),
    },
    {
      title: "CPU",
      name: "cpu",
      number: true,
      value: (row) => row.cpu_cores,
      says: (row) => `${row.cpu_cores} ${row.cpu_limit_cores}`,
      show: (row) => [
        spark("cpu_cores"),
        amount(format.cores(row.cpu_cores), row.cpu_limit_cores ? format.limit(row.cpu_limit_cores) : ""),
      ],
    },
    {
      title: "Memory",
      name: "memory",
      number: true,
      value: (row) => row.memory_bytes,
      says: (row) => `${row.memory_bytes} ${row.memory_limit_bytes}`,
      show: (row) => [
        spark("memory_bytes"),
        amount(
          format.memory(row.memory_bytes),
          row.memory_limit_bytes && row.memory_bytes !== null ? format.memory(row.memory_limit_bytes) : "",
        ),
      ],
    },
    {
      title: "Network",
      name: "network",
      number: true,
      from: "medium",
      value: network,
      says: (row) => `${row.network_receive_bytes_per_second} ${row.network_transmit_bytes_per_second}`,
      show: (row) => [
        spark("network_bytes_per_second"),
        pair("↓", "received", row.network_receive_bytes_per_second, "↑", "sent", row.network_transmit_bytes_per_second),
      ],
    },
    {
      title: "Disk",
      name: "disk",
      number: true,
      from: "wide",
      value: disk,
      says: (row) => `${row.disk_read_bytes_per_second} ${row.disk_write_bytes_per_second}`,
      show: (row) => pair("r", "read", row.disk_read_bytes_per_second, "w", "written", row.disk_write_bytes_per_second),
    },
    {
      title: "Log",
      name: "log",
      number: true,
      from: "widest",
      value: (row) => row.log_bytes,
      says: (row) => `${row.log_bytes} ${row.log_limit_bytes} ${row.log_growth_bytes_per_hour}`,
      show: (row) => log(row),
    },
    {
      title: "Proc.",
      name: "processes",
      number: true,
      from: "wide",
      value: (row) => row.processes,
      show: (row) => format.count(row.processes),
    },
    {
      title: "Restarts",
      name: "restarts",
      number: true,
      from: "widest",
      value: (row) => row.restarts,
      show: (row) => format.count(row.restarts),
    },
    {
      title: "For",
      name: "for",
      number: true,
      from: "medium",
      value: (row) => age(row, context.now),
      says: (row) => format.duration(age(row, context.now)),
      show: (row) => format.duration(age(row, context.now)),
    },
    {
      title: "Ports",
      name: "ports",
      from: "widest",
      style: "cut",
      value: (row) => portsOf(row) || null,
      show: (row) => element("span", { title: portsOf(row) }, portsOf(row)),
    },
    {
      title: "Image",
      name: "image",
      from: "widest",
      style: "cut",
      value: (row) => row.image ?? null,
      show: (row) => element("span", { class: "inside", title: row.image }, cutInside(format.withoutRegistry(row.image ?? ""))),
    },
  ];
}

function age(row, now) {
  const began = row.isProject ? row.since : since(row);
  return began === null || began === undefined ? null : now - began;
}

function project(row, context) {
  const attributes = { "aria-expanded": String(row.isOpen), onclick: () => context.fold(row.name) };
  return [
    foldButton(row.name, attributes),
    element("span", { class: "of" }, `${row.running} of ${row.count} run`),
    row.troubled > 0 &&
      element(
        "span",
        { class: "badge bad until-small" },
        String(row.troubled),
        element("span", { class: "unseen" }, " with problems"),
      ),
  ];
}

function name(row, context) {
  const link = { href: `#containers/${row.id}`, class: "name", title: `${row.name}, ${row.image}` };
  return [
    element("a", { ...link, "aria-label": row.name, ...(context.isReturn(row.id) && { "data-return": "" }) }, cutInside(row.name)),
    row.compose_project && !row.inGroup && element("span", { class: "of" }, row.compose_project),
    element("span", { class: "of image" }, row.image),
    element("span", { class: "beneath until-small" }, stateParts(row)),
  ];
}

const stateText = (row) =>
  row.isProject
    ? `${row.running} ${row.count} ${row.troubled}`
    : `${stateOf(row)} ${problemsOf(row).map(([, text]) => text).join(" ")}`;

function stateParts(row) {
  if (row.isProject) {
    return row.troubled ? [element("span", { class: "badge bad" }, format.plural("problem", row.troubled))] : [];
  }
  const said = problemsOf(row).filter(([, , isState]) => !isState);
  const isBad = tone(row) === "bad";
  const whole = [stateOf(row), ...said.map(([, text]) => text)].join(", ");
  const words = said.map(([, text, , short]) => short ?? text);
  const state = !isBad && words.length && row.state === "running" ? [] : [shortStateOf(row)];
  const text = (isBad ? [...state, ...words] : [...words, ...state]).join(", "); // the worst first: the end may be cut
  const kind = isBad ? "bad" : (said[0]?.[0] ?? tone(row));
  return [element("span", { class: `state ${kind}`, title: whole }, text)];
}

function log(row) {
  const limit = row.log_limit_bytes === 0 ? "no limit" : row.log_limit_bytes ? `limit ${format.bytes(row.log_limit_bytes)}` : "";
  return element("span", { class: logProblem(row) && "warned", title: limit }, format.bytes(row.log_bytes));
}

function amount(value, limit) {
  return element("span", { class: "amount" }, value, limit && element("span", { class: "of" }, ` of ${limit}`));
}

function pair(sign, word, one, otherSign, otherWord, other) {
  if (one === null && other === null) return element("span", { class: "amount" }, format.UNKNOWN);
  const part = (mark, said, value) =>
    element("span", { class: value ? "rate" : "rate idle" }, element("abbr", { title: said }, mark), format.rate(value));
  return element("span", { class: "pair" }, part(sign, word, one), part(otherSign, otherWord, other));
}
