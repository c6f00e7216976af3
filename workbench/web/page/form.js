// Keeps the form of the Create tab over a reload, takes pictures dropped anywhere on the tab, and hears Ctrl Enter.
// Knows nothing about the form's fields but the seed. It shows nothing but the line that says where to drop.

import { make } from "../components/element.js";

const KEPT = "sidelight.create";

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "null");
  } catch {
    return null; // nothing is kept here, or somebody else's text: the form begins as it is
  }
}

// The field that is wrong is dashed, and says so to who hears the page; what is wrong stands above Make.
function markFault(tab, name) {
  const wrong = name ? tab.querySelector(`#create-${name.replaceAll("_", "-")} :is(input, textarea)`) : null;
  for (const field of tab.querySelectorAll(".sl-form [aria-invalid=true]")) field.removeAttribute("aria-invalid");
  wrong?.setAttribute("aria-invalid", "true");
}

export function mount(element, gradio) {
  const tab = element.closest("[role=tabpanel]") ?? document.body;
  const text = "Drop the picture to take over its settings";
  const over = make("div", { className: "sidelight sl-drop-here", hidden: true, text });
  const isSeen = () => tab.checkVisibility();
  let isReady = false;

  gradio.watch((value) => {
    if (value?.form) markFault(tab, value.fault_at);
    if (value?.is_ready) isReady = true;
    if (!isReady || !value?.form) return;
    try {
      localStorage.setItem(KEPT, JSON.stringify(value.form));
    } catch {
      isReady = false; // no room, or not allowed: the form is lost on reload, and nothing else
    }
  });

  const bringsFile = (event) => isSeen() && event.dataTransfer?.types.includes("Files");
  const isOnZone = (event) => Boolean(event.target.closest?.(".sl-zone"));
  document.addEventListener("dragover", (event) => {
    if (!bringsFile(event)) return;
    event.preventDefault();
    over.hidden = isOnZone(event);
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) over.hidden = true; });
  document.addEventListener("drop", async (event) => {
    over.hidden = true;
    if (!bringsFile(event) || isOnZone(event)) return;
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    const sent = file && await gradio.upload(file).catch(() => null);
    gradio.send.dropped({ path: sent?.path ?? "", name: file?.name ?? "" });
  });
  tab.addEventListener("input", (event) => { // who types or pastes a seed wants that one
    if (!event.target.closest?.("#create-seed")) return;
    const keep = tab.querySelector("#create-keep input");
    if (!keep?.checked) keep?.click();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat || !isSeen()) return;
    event.preventDefault();
    // a field of the light takes its text only now
    document.activeElement?.dispatchEvent(new Event("change", { bubbles: true }));
    document.querySelector("#create-make")?.click();
  }, true);
  let wasSeen = true;
  new IntersectionObserver(([{ isIntersecting }]) => {
    if (isIntersecting && !wasSeen) gradio.send.seen({});
    wasSeen = isIntersecting;
  }).observe(tab);

  element.replaceChildren(over);
  gradio.send.ready({ form: kept() });
}
