// Table that is sorted by its headers and can be filtered. Updates keep the rows, so that the focus stays, and replace
// only cells with new content.

import { element } from "./element.js";

const COMPARE = new Intl.Collator(undefined, { numeric: true }).compare;

/** Compare numbers by size and text naturally; unknown values are last in both directions. */
function compare(one, other, direction) {
  const [oneKnown, otherKnown] = [one !== null && one !== undefined, other !== null && other !== undefined];
  if (!oneKnown || !otherKnown) return Number(otherKnown) - Number(oneKnown);
  return direction * (typeof one === "number" && typeof other === "number" ? one - other : COMPARE(one, other));
}

/**
 * Columns have: `title`; `value(row)`, the sort key; `show(row)`, the nodes or texts of a cell; `says(row)`, a text that
 * changes whenever the cell does (default: the value); `number`: align right; `falls`: sort largest first (default: for
 * numbers); `from`: smallest window ("small", "medium", "wide") that shows the column.
 */
export class Table {
  constructor({ caption, columns, key, sort, descending = false, empty, most = 500, opened = null }) {
    Object.assign(this, { columns, key, empty, most, opened });
    this.sort = sort;
    this.direction = descending ? -1 : 1;
    this.rows = [];
    this.kept = new Map();
    this.accepts = () => true;
    this.body = element("tbody");
    this.headers = columns.map((column) => this.#header(column));
    this.more = element("p", { class: "more" });
    this.left = element("span");
    this.button = element("button", { type: "button", onclick: () => this.#showMore() }, "Show more");
    const head = element("thead", {}, element("tr", {}, this.headers));
    const table = element("table", {}, element("caption", { class: "unseen" }, caption), head, this.body);
    this.node = element("div", { class: "table" }, table, this.more);
  }

  /** Show these rows. */
  update(rows) {
    this.rows = rows;
    this.#draw();
  }

  /** Show only the rows that `accepts` returns true for. */
  filter(accepts) {
    this.accepts = accepts;
    this.#draw();
  }

  #header(column) {
    const button = element("button", { type: "button", onclick: () => this.#sortBy(column) }, column.title);
    return element("th", { scope: "col", class: classes(column) }, column.value ? button : column.title);
  }

  #sortBy(column) {
    const first = (column.falls ?? column.number) ? -1 : 1;
    this.direction = this.sort === column.title ? -this.direction : first;
    this.sort = column.title;
    this.#draw();
  }

  #draw() {
    const sorted = this.columns.find((column) => column.title === this.sort);
    this.columns.forEach((column, place) => {
      const order = this.direction > 0 ? "ascending" : "descending";
      if (column === sorted) this.headers[place].setAttribute("aria-sort", order);
      else this.headers[place].removeAttribute("aria-sort");
    });
    const wanted = this.rows.filter(this.accepts);
    if (sorted) wanted.sort((one, other) => compare(sorted.value(one), sorted.value(other), this.direction));
    const shown = wanted.slice(0, this.most);
    const keys = new Set(shown.map(this.key));
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

  #showRest(left, shown) {
    if (left > 0) {
      this.left.replaceChildren(`${left} more are not shown. `);
      if (!this.button.isConnected) this.more.replaceChildren(this.left, this.button); // a connected one keeps the focus
    } else {
      this.more.replaceChildren(shown ? "" : this.rows.length ? "Nothing of it fits the filter." : this.empty);
    }
  }

  #showMore() {
    const shown = this.body.children.length;
    this.most += 500;
    this.#draw();
    const first = this.body.children[shown];
    if (!first) return;
    const next = first.querySelector("a, button") ?? first;
    if (next === first) first.tabIndex = -1;
    next.focus();
  }

  #line(row) {
    const key = this.key(row);
    if (!this.kept.has(key)) {
      const cells = this.columns.map((column) => element("td", { class: classes(column) }));
      const line = element("tr", {}, cells);
      if (this.opened) {
        line.classList.add("opens");
        line.addEventListener("click", (event) => {
          if (!event.target.closest("a, button") && !getSelection().toString()) this.opened(key);
        });
      }
      this.kept.set(key, { line, cells, said: [] });
    }
    const { line, cells, said } = this.kept.get(key);
    this.columns.forEach((column, place) => {
      const says = String((column.says ?? column.value ?? column.show)(row));
      if (said[place] !== says) {
        const cell = cells[place];
        const hasFocus = cell.contains(document.activeElement);
        cell.replaceChildren(...[column.show(row)].flat());
        if (hasFocus) cell.querySelector("a, button")?.focus({ preventScroll: true });
        said[place] = says;
      }
    });
    return line;
  }
}

function classes(column) {
  return [column.number && "number", column.from && `from-${column.from}`].filter(Boolean).join(" ") || null;
}
