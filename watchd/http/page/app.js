// Routing: the view is named after "#" in the address, with an optional argument ("#containers/4f1e..."). A view is a
// function that fills an element and returns a function that ends it.

import { onAnswer } from "./asking.js";
import { container } from "./container.js";
import { containers } from "./containers.js";
import { disk } from "./disk.js";
import { element, say } from "./element.js";
import { events } from "./events.js";
import { clock } from "./format.js";
import { history } from "./history.js";
import { plan } from "./plan.js";

const VIEWS = { containers, disk, plan, history, events };
const content = document.getElementById("content");
const trouble = document.getElementById("trouble");
const pulse = document.getElementById("pulse");

let end = () => {};
let isFirst = true;
let wasSilent = false;

function route() {
  const [name, argument] = location.hash.slice(1).split("/", 2);
  const known = Object.hasOwn(VIEWS, name) ? name : "containers";
  const id = decoded(argument ?? "");
  const view = known === "containers" && id ? container : VIEWS[known];
  end();
  for (const link of document.querySelectorAll("#views a")) {
    if (link.hash === `#${known}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const section = element("section", { class: `view view-${known}` });
  content.replaceChildren(section);
  end = view(section, id);
  document.title = `${section.querySelector("h1").textContent} · watchd`;
  if (!isFirst) section.querySelector("[data-return], h1").focus({ preventScroll: true });
  isFirst = false;
  scrollTo(0, 0);
}

/** Decode the argument of an address, "" if it is invalid. */
function decoded(argument) {
  try {
    return decodeURIComponent(argument);
  } catch {
    return "";
  }
}

onAnswer((problems, isSilent) => {
  const isWell = !problems.length;
  pulse.classList.toggle("lost", !isWell);
  document.getElementById("pulse-text").textContent = isWell ? `live · ${clock(Date.now() / 1000)}` : "trying again";
  const text = isWell ? "" : `${problems.join("; ")}. The data below may be old.`;
  if (trouble.textContent !== text) {
    trouble.textContent = text;
    trouble.hidden = isWell;
  }
  if (wasSilent && !isSilent) say("watchd answers again");
  wasSilent = isSilent;
});

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash of the address names the view
  content.focus();
});
addEventListener("hashchange", route);
route();
