// What the parts of the page share: which run is open, which tab is shown, one way to ask the server, one line to say
// something. Knows nothing about what any part shows. A module; it puts itself at `window.Sidelight`.

import { make } from "../components/element.js";
import { News } from "../components/news.js";

const TABS = ["create", "face", "sweep", "compare", "runs", "notes", "models", "doctor"];
const SAID_FOR_MS = 12_000;
const listeners = new Set();
const address = new URL(location.href).searchParams;
const line = make("div", { className: "sidelight sl-said", role: "status", ariaLive: "polite", hidden: true });
let sending = null; // Gradio's way into Python, once the bridge is there
let silence = 0;

const page = {
  run: address.get("run") ?? "",
  cells: address.getAll("cell"),
  tab: TABS.includes(address.get("tab")) ? address.get("tab") : "create",
  aim: null, // {zoom, x, y, crop}: where Compare looks next, and what its cells show, if it is said
  forSweep: null, // {name, text}: the sweep.toml that the Sweep tab fills in
  forNote: "", // the checkpoint whose note the Notes tab shows next
  forFace: null, // {run, key, isAgain}: the picture that the Face tab takes up, or whose repair it does again

  // The server's answer; its refusals, and a server that is gone, come as an Error with one line.
  async json(path, { method = "GET", body } = {}) {
    const asked = { method, body: body === undefined || body instanceof Blob ? body : JSON.stringify(body) };
    const answer = await fetch(path, asked).catch(() => {
      throw new Error("the page's server does not answer; it may be starting again: nothing that runs is lost");
    });
    const said = answer.headers.get("content-type")?.includes("json") ? await answer.json() : null;
    if (!answer.ok) throw new Error(said?.error ?? `the server refused this (${answer.status})`);
    return said;
  },

  // Shows a run, with these pictures chosen, everywhere; the address says so, and a reload comes back to it.
  open(run, { cells = [], tab = "", aim = null } = {}) {
    const isSame = run === page.run && cells.join() === page.cells.join() && !aim;
    Object.assign(page, { run, cells: [...cells], aim: aim ?? (run === page.run ? page.aim : null) });
    if (tab) page.go(tab);
    else remember();
    if (!isSame) tellRun();
  },

  onRun(listener) {
    listeners.add(listener);
    if (page.run) listener({ run: page.run, cells: page.cells });
    return () => listeners.delete(listener);
  },

  go(tab) {
    document.querySelector(`#tab-${tab}-button`)?.click();
    page.tab = tab;
    remember();
  },

  // Lets another tab take a picture over: its settings ("create", "sweep"), or itself as a start image ("start",
  // "reference"); or lets the Face tab repair it ("face"). The settings of a repair are the Face tab's own. Answers
  // the tab that has it. What was advised comes along: `toml`, the sweep to fill in, or `mask` and `values` of a repair.
  async hand(target, { run, key, toml = "", mask = "", values = {} }) {
    if (target === "face") return page.handFace({ run, key, mask, values });
    if (target === "sweep" && toml) {
      page.forSweep = { name: "advice.toml", text: toml };
      page.go("sweep");
      document.dispatchEvent(new CustomEvent("sidelight:sweep"));
      return "sweep";
    }
    if (!toml && ["create", "sweep"].includes(target) && await isRepair(run, key)) {
      page.say("This picture is a repair: its settings are in the Face tab now, over the picture it was made from. "
        + "Several values in one field make several pictures.");
      return page.handFace({ run, key, isAgain: true });
    }
    document.dispatchEvent(new CustomEvent("sidelight:hand", { detail: { target } }));
    sending?.hand({ target, run, key, toml });
    const tab = target === "sweep" ? "sweep" : "create";
    page.go(tab);
    return tab;
  },

  showNote(checkpoint) {
    page.forNote = checkpoint;
    page.go("notes");
    document.dispatchEvent(new CustomEvent("sidelight:note"));
  },

  handFace(picture) {
    page.forFace = picture;
    page.go("face");
    document.dispatchEvent(new CustomEvent("sidelight:face"));
    return "face";
  },

  say(text, { label = "", action = null } = {}) {
    clearTimeout(silence);
    line.hidden = false;
    line.replaceChildren(make("span", { text }));
    if (label) line.append(make("button", { type: "button", text: label, onclick: () => { hush(); action(); } }));
    line.append(make("button", { type: "button", text: "Close", onclick: hush }));
    silence = setTimeout(hush, SAID_FOR_MS);
  },

  // Calls `ask` now and then while the element can be seen; answers what ends it.
  poll(element, ask, seconds) {
    const news = new News(element, ask, seconds);
    news.poll();
    return () => news.end();
  },
};

// Whether it was made of a part of a picture and put back there. A picture that is gone is said to be so by who takes it.
async function isRepair(run, key) {
  const sidecar = await page.json(`/pictures/${encodeURIComponent(run)}/${key}.json`).catch(() => null);
  return Boolean(sidecar?.recipe.crop);
}

function hush() { line.hidden = true; }

function tellRun() {
  for (const listener of listeners) listener({ run: page.run, cells: page.cells });
}

function remember() {
  const said = new URLSearchParams({ tab: page.tab });
  if (page.run) said.set("run", page.run);
  for (const key of page.cells) said.append("cell", key);
  history.replaceState(null, "", `?${said}`);
}

// Gradio draws the tabs' buttons; which one is pressed says which tab is shown.
function watchTabs() {
  document.addEventListener("click", (event) => {
    const tab = event.target.closest?.("[role=tab]")?.id.match(/^tab-(\w+)-button$/)?.[1];
    if (!TABS.includes(tab) || tab === page.tab) return;
    page.tab = tab;
    remember();
  }, true);
  window.addEventListener("popstate", () => location.reload());
}

window.Sidelight = page;
document.documentElement.classList.add("dark");
watchTabs();

// The bridge: mounted once by Gradio, with Python behind it.
export function mount(element, gradio) {
  sending = gradio.send;
  document.body.append(line);
  page.go(page.tab);
  gradio.watch((told) => {
    if (told?.tab) page.go(told.tab);
    if (told?.said) page.say(told.said);
  });
}
