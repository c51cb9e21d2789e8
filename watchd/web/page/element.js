// Making elements. What is shown is set as text or as an attribute, never read as HTML: a label that looks like a tag
// stays text, and the page's Content-Security-Policy has the browser insist on it.

/** Return a new element. Attributes that are null or false are left out; those named "on..." are listeners. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Return a bar that is filled from the left to a share (0 to 1). Its number stands beside it, so it is only seen. */
export function bar(share, kind = "") {
  const filled = element("span", { class: `bar-filled ${kind}` });
  filled.style.width = `${Math.min(100, Math.max(0, share * 100))}%`;
  return element("span", { class: "bar", "aria-hidden": "true" }, filled);
}

/** Return a select with a label. `options` are [value, text]; `chosen` is called with the new value. */
export function choice(label, options, value, chosen) {
  const select = element("select", { onchange: () => chosen(select.value) });
  offer(select, options, value);
  return element("label", { class: "field" }, element("span", {}, label), select);
}

/** Have a select offer these options. One that does so already stays as it is: it may be open. */
export function offer(select, options, value) {
  const isSame = select.length === options.length && options.every(([name], place) => select[place].value === name);
  if (isSame) return;
  select.replaceChildren(
    ...options.map(([name, text]) => element("option", { value: name, selected: name === value }, text)),
  );
}

/** Return a field to search by. `typed` is called with the text, in lower case. */
export function search(label, typed) {
  const input = element("input", {
    type: "search",
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => typed(input.value.trim().toLowerCase()),
  });
  return element("label", { class: "field grows" }, element("span", {}, label), input);
}

/** Return a heading that a view begins with, which takes the focus when the view is opened. */
export function heading(...text) {
  return element("h1", { tabindex: "-1" }, ...text);
}

/** Tell something to who listens rather than looks. */
export function say(text) {
  document.getElementById("said").textContent = text;
}
