// Table that is sorted by its headers, filtered and grouped. Updates keep the rows, so that the focus stays, and replace
// only cells with new content.

import { element } from "../element.js";

const COMPARE = new Intl.Collator(undefined, { numeric: true }).compare;

/** Compare numbers by size and text naturally; unknown values are last in both directions. */
function compare(one, other, direction) {
  const [oneKnown, otherKnown] = [one !== null && one !== undefined, other !== null && other !== undefined];
  if (!oneKnown || !otherKnown) return Number(otherKnown) - Number(oneKnown);
  return direction * (typeof one === "number" && typeof other === "number" ? one - other : COMPARE(one, other));
}

/**
 * Columns have: `title`; `name` in the address; `value(row)`, the sort key; `show(row)`, the nodes or texts of a cell;
 * `says(row)`, a text that changes whenever the cell does (default: the value); `number`: align right; `falls`: sort
 * largest first (default: for numbers); `from`: smallest window ("small", "medium", "wide", "widest") that shows it.
 *
 * `options` keep `sort` and `order` ("rises", "falls"). `grouping`: `key(row)`, null for none; `head(key, members)`, the
 * row of a group; `isOpen(key)`; `stays(key, row)`, whether a row is shown although its group is folded (default: no). A
 * group of one is shown as its row. `dense`: a line for each row, of one height.
 */
export class Table {
  constructor({ caption, columns, key, options, empty, most = 500, opened = null, grouping = null, dense = false }) {
    Object.assign(this, { columns, key, options, empty, most, opened, grouping });
    this.rows = [];
    this.kept = new Map();
    this.accepts = () => true;
    this.role = (role) => (dense ? { role } : {}); // rows that are a grid are no table to every browser
    this.body = element("tbody", this.role("rowgroup"));
    this.headers = columns.map((column) => this.#header(column));
    this.more = element("p", { class: "more" }, "Loading …");
    this.left = element("span");
    this.button = element("button", { type: "button", onclick: () => this.#showMore() }, "Show more");
    const head = element("thead", this.role("rowgroup"), element("tr", this.role("row"), this.headers));
    const title = element("caption", { class: "unseen" }, caption);
    const table = element("table", { class: dense && "dense", ...this.role("table") }, title, head, this.body);
    this.node = element("div", { class: "table" }, table, this.more);
  }

  /** Show these rows. */
  update(rows) {
    this.rows = rows;
    this.draw();
  }

  /** Show only the rows that `accepts` returns true for. */
  filter(accepts) {
    this.accepts = accepts;
    this.draw();
  }

  /** Call `each` with the row and the line of every row that is shown. */
  visit(each) {
    for (const { row, line } of this.kept.values()) each(row, line);
  }

  #header(column) {
    const button = element("button", { type: "button", onclick: () => this.#sortBy(column) }, column.title);
    const attributes = { scope: "col", class: classes(column), ...this.role("columnheader") };
    return element("th", attributes, column.value ? button : column.title);
  }

  #sortBy(column) {
    const isSorted = this.options.get("sort") === column.name;
    const falls = isSorted ? this.options.get("order") !== "falls" : Boolean(column.falls ?? column.number);
    this.options.set({ sort: column.name, order: falls ? "falls" : "rises" });
    this.draw();
  }

  /** Draw the rows again, after a change of options or groups. */
  draw() {
    const direction = this.options.get("order") === "falls" ? -1 : 1;
    const sorted = this.columns.find((column) => column.name === this.options.get("sort"));
    this.columns.forEach((column, place) => {
      if (column === sorted) this.headers[place].setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else this.headers[place].removeAttribute("aria-sort");
    });
    const wanted = this.#grouped(this.rows.filter(this.accepts), sorted, direction);
    const shown = wanted.slice(0, this.most);
    const keys = new Set(shown.map((row) => this.#keyOf(row)));
    for (const [key, { line }] of this.kept) {
      if (!keys.has(key)) {
        line.remove();
        this.kept.delete(key);
      }
    }
    const lines = shown.map((row) => this.#line(row));
    const focused = document.activeElement; // a moved line loses the focus
    lines.forEach((line, place) => {
      if (this.body.children[place] !== line) this.body.insertBefore(line, this.body.children[place] ?? null);
    });
    while (this.body.children.length > shown.length) this.body.lastChild.remove();
    if (focused !== document.activeElement && this.body.contains(focused)) focused.focus({ preventScroll: true });
    this.#showRest(wanted.length - shown.length, shown.length);
  }

  /** Return the rows in their order, with a head before each group and without the members of folded ones. */
  #grouped(rows, sorted, direction) {
    const name = this.columns.find((column) => column.name === "name")?.value ?? (() => null);
    const order = (one, other) =>
      compare(sorted.value(one), sorted.value(other), direction) || compare(name(one), name(other), 1);
    const inOrder = (list) => (sorted ? list.sort(order) : list);
    if (!this.grouping) return inOrder(rows);
    const members = Map.groupBy(rows, this.grouping.key);
    const units = [...members].flatMap(([key, list]) =>
      key === null || list.length < 2 ? list : [{ ...this.grouping.head(key, list), groupKey: key }],
    );
    const { isOpen, stays = () => false } = this.grouping;
    return inOrder(units).flatMap((row) => {
      const { groupKey: key } = row;
      if (key === undefined) return [row];
      const shown = isOpen(key) ? members.get(key) : members.get(key).filter((member) => stays(key, member));
      return [row, ...inOrder(shown).map((member) => ({ ...member, inGroup: true }))];
    });
  }

  #keyOf(row) {
    return row.groupKey === undefined ? this.key(row) : `group ${row.groupKey}`;
  }

  #showRest(left, shown) {
    if (left > 0) {
      this.left.replaceChildren(`${left} more are not shown. `);
      if (!this.button.isConnected) this.more.replaceChildren(this.left, this.button); // a connected one keeps the focus
    } else {
      this.more.replaceChildren(shown ? "" : this.rows.length ? "Nothing matches the filter." : this.empty);
    }
  }

  #showMore() {
    const shown = this.body.children.length;
    this.most += 500;
    this.draw();
    const first = this.body.children[shown];
    if (!first) return;
    const next = first.querySelector("a, button") ?? first;
    if (next === first) first.tabIndex = -1;
    next.focus();
  }

  #line(row) {
    const key = this.#keyOf(row);
    if (!this.kept.has(key)) {
      const cells = this.columns.map((column) => element("td", { class: classes(column), ...this.role("cell") }));
      const line = element("tr", this.role("row"), cells);
      if (this.opened && row.groupKey === undefined) {
        line.classList.add("opens");
        line.addEventListener("click", (event) => {
          if (!event.target.closest("a, button") && !getSelection().toString()) this.opened(key);
        });
      }
      this.kept.set(key, { line, cells, said: [] });
    }
    const kept = this.kept.get(key);
    kept.row = row;
    kept.line.classList.toggle("group-head", row.groupKey !== undefined);
    kept.line.classList.toggle("in-group", Boolean(row.inGroup));
    this.columns.forEach((column, place) => this.#cell(column, row, kept, place));
    return kept.line;
  }

  #cell(column, row, { cells, said }, place) {
    const says = String((column.says ?? column.value ?? column.show)(row));
    if (said[place] === says) return;
    const cell = cells[place];
    const hasFocus = cell.contains(document.activeElement);
    cell.replaceChildren(...[column.show(row)].flat(Infinity).filter((part) => part || part === 0));
    if (hasFocus) cell.querySelector("a, button")?.focus({ preventScroll: true });
    said[place] = says;
  }
}

function classes(column) {
  return (
    [column.number && "number", column.from && `from-${column.from}`, column.style].filter(Boolean).join(" ") || null
  );
}
