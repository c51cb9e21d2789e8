// Creation of elements. Content is set as text or attribute, never parsed as HTML: a label that looks like a tag stays
// text. The page's Content-Security-Policy enforces this.

/** Create an element. Attributes that are null or false are left out; "on..." attributes are listeners. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Create an element of a drawing in the same way. */
export function drawing(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Create a bar filled to a share (0 to 1). Hidden from screen readers: the number stands beside it. */
export function bar(share, kind = "") {
  const filled = element("span", { class: `bar-filled ${kind}` });
  filled.style.width = `${Math.min(100, Math.max(0, share * 100))}%`;
  return element("span", { class: "bar", "aria-hidden": "true" }, filled);
}

const SHORT = 14; // characters
const END = 9; // of these, which stay visible

/** Return the parts of a text that style `.start` and `.end` cut in its middle: its end tells it from its likes. */
export function cutInside(text) {
  if (text.length <= SHORT) return text;
  return [element("span", { class: "start" }, text.slice(0, -END)), element("span", { class: "end" }, text.slice(-END))];
}

/** Create the button with the name of a group, which folds it. */
export function foldButton(name, attributes) {
  const named = { type: "button", class: "fold", title: name, "aria-label": name };
  return element("button", { ...named, ...attributes }, element("span", { class: "name inside" }, cutInside(name)));
}

/** Create a select with a label. `options`: [value, text]; `chosen` is called with the new value. */
export function choice(label, options, value, chosen) {
  const select = element("select", { onchange: () => chosen(select.value) });
  offer(select, options, value);
  return element("label", { class: "field" }, element("span", {}, label), select);
}

/** Set the options of a select. If they are the same, nothing changes, since it may be open. */
export function offer(select, options, value) {
  const isSame = select.length === options.length && options.every(([name], place) => select[place].value === name);
  if (isSame) return;
  select.replaceChildren(
    ...options.map(([name, text]) => element("option", { value: name, selected: name === value }, text)),
  );
}

/** Create a search field with a text, which Escape empties. `typed` is called with the new one in lower case. */
export function search(label, text, typed) {
  const input = element("input", {
    type: "search",
    autocomplete: "off",
    spellcheck: "false",
    value: text,
    oninput: () => typed(input.value.trim().toLowerCase()),
    onkeydown: ({ key }) => {
      if (key !== "Escape" || !input.value) return; // not every browser does so by itself
      input.value = "";
      typed("");
    },
  });
  return element("label", { class: "field grows" }, element("span", {}, label), input);
}

/** Create a small table whose rows have texts or nodes as cells; the first cell is the row's header. */
export function smallTable(caption, titles, rows) {
  const head = titles.map((title) => element("th", { scope: "col" }, title));
  const lines = rows.map((cells) =>
    element(
      "tr",
      {},
      cells.map((cell, place) => element(place ? "td" : "th", place ? {} : { scope: "row" }, cell)),
    ),
  );
  return element(
    "div",
    { class: "table" },
    element(
      "table",
      { class: "small" },
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, head)),
      element("tbody", {}, lines),
    ),
  );
}

/** Create the heading of a view, which gets the focus when the view opens. */
export function heading(...text) {
  return element("h1", { tabindex: "-1" }, ...text);
}

/** Announce a text to screen readers. */
export function say(text) {
  document.getElementById("said").textContent = text;
}
