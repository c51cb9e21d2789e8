// Which view is shown: the part of the address after "#" says so. A view is a function that fills an element, from an
// argument that may follow its name ("#containers/4f1e..."), and returns what ends it.

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

function route() {
  const [name, argument] = location.hash.slice(1).split("/", 2);
  const known = Object.hasOwn(VIEWS, name) ? name : "containers";
  const view = known === "containers" && argument ? container : VIEWS[known];
  end();
  for (const link of document.querySelectorAll("#views a")) {
    if (link.hash === `#${known}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const section = element("section", { class: `view view-${known}` });
  content.replaceChildren(section);
  end = view(section, argument ? decodeURIComponent(argument) : null);
  document.title = `${section.querySelector("h1").textContent} · watchd`;
  if (!isFirst) section.querySelector("[data-return], h1").focus({ preventScroll: true });
  isFirst = false;
  scrollTo(0, 0);
}

onAnswer((problem) => {
  pulse.classList.toggle("lost", problem !== null);
  if (problem === null) document.getElementById("pulse-text").textContent = `live · ${clock(Date.now() / 1000)}`;
  else document.getElementById("pulse-text").textContent = "trying again";
  const told = problem === null ? "" : `${problem}. What is below may be old.`;
  if (trouble.textContent !== told) {
    trouble.textContent = told;
    trouble.hidden = problem === null;
    if (problem === null) say("watchd answers again");
  }
});

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says which view is shown
  content.focus();
});
addEventListener("hashchange", route);
route();
