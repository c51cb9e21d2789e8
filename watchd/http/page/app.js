// Routing. A view is a function that fills an element and returns a function that ends it.

import { linkTo, parts } from "./address.js";
import { followEngine, onAnswer } from "./asking.js";
import { element, say } from "./element.js";
import { clock, zone } from "./format.js";
import { container } from "./views/container.js";
import { containers } from "./views/containers.js";
import { disk } from "./views/disk.js";
import { events } from "./views/events.js";
import { history } from "./views/history.js";
import { networks } from "./views/networks.js";
import { plan } from "./views/plan.js";

const VIEWS = { containers, networks, disk, plan, history, events };
const content = document.getElementById("content");
const trouble = document.getElementById("trouble");
const pulse = document.getElementById("pulse");

let end = () => {};
let isFirst = true;
let wasSilent = false;

function route() {
  const { view: name, argument } = parts();
  const known = Object.hasOwn(VIEWS, name) ? name : "containers";
  const view = known === "containers" && argument ? container : VIEWS[known];
  end();
  for (const link of document.querySelectorAll("#views a")) {
    if (link === linkTo(known)) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a small screen they may not all fit
    } else link.removeAttribute("aria-current");
  }
  const section = element("section", { class: `view view-${view.name}` });
  content.replaceChildren(section);
  end = view(section, argument);
  document.title = `${section.querySelector("h1").textContent} · watchd`;
  if (!isFirst) section.querySelector("[data-return], h1").focus({ preventScroll: true });
  isFirst = false;
  scrollTo(0, 0);
}

onAnswer((problems, isSilent, hasAnswers) => {
  const isWell = !problems.length;
  pulse.classList.toggle("lost", !isWell);
  document.getElementById("pulse-text").textContent = isWell ? `live · ${clock(Date.now() / 1000)}` : "trying again";
  const shown = hasAnswers ? "The data below may be old." : "Nothing can be shown yet.";
  const text = isWell ? "" : `${problems.join("; ")}. ${shown}`;
  if (trouble.textContent !== text) {
    trouble.textContent = text;
    trouble.hidden = isWell;
  }
  if (wasSilent && !isSilent) say("watchd answers again");
  wasSilent = isSilent;
});

followEngine(({ engine }) => {
  if (engine) document.getElementById("engine").textContent = `${engine.name} · engine ${engine.version}`;
});

// Headers of tables stay below the head of the page, which has one or two lines.
new ResizeObserver(([{ target }]) => {
  document.documentElement.style.setProperty("--head", `${target.offsetHeight}px`);
}).observe(document.querySelector(".top"));
document.getElementById("zone").textContent = ` Times are in ${zone()}.`;
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash of the address names the view
  content.focus();
});
addEventListener("hashchange", route);
route();
