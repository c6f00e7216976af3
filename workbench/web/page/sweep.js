// The Sweep tab: the builder at the left, the run that is open at the right. Knows nothing about the grammar of values:
// every change goes to Python, which answers what the sweep would be. What stands in the builder outlives a reload.

import { Builder } from "../components/builder.js";
import { make } from "../components/element.js";
import { OutlookPanel } from "../components/outlook.js";
import { RunLine } from "../components/run_line.js";
import { onDemo } from "./demo.js";
import { findingsPanel } from "./findings_panel.js";
import { runGrid } from "./run_grid.js";

const KEPT = "sidelight.sweep";
const FOLDED = "sidelight.sweep.folded";
const ASK_AFTER_MS = 250;
const LONGEST_FILE = 2 ** 20;
const PATIENCE_MS = 20_000; // for Python's answer, before the next question goes out all the same

class SweepTab {
  constructor(element, gradio) {
    Object.assign(this, { gradio, turn: 0, live: null });
    const { groups, demo } = gradio.value;
    this.builder = new Builder({
      groups,
      onChange: () => this.change(),
      onCreate: () => window.Sidelight.go("create"),
    });
    this.outlook = new OutlookPanel();
    this.line = new RunLine({ onWish: (wish) => this.wish(wish), onCompare: () => window.Sidelight.go("compare") });
    this.build(element, demo);
    this.restore();
    gradio.watch((answer) => this.hear(answer));
    this.watch();
    onDemo(() => this.demo({ isStarted: true }));
    this.takeHanded();
  }

  // A sweep that was advised, if one waits.
  takeHanded() {
    const handed = window.Sidelight.forSweep;
    window.Sidelight.forSweep = null;
    if (handed) this.send("read", handed);
  }

  // ---- once

  build(element, demo) {
    this.buildLeft();
    const place = make("div", { className: "sl-run-grid" }), below = make("div", { className: "sl-run-findings" });
    const found = findingsPanel(below, {
      isTold: true, canFold: true, isFolded: sessionStorage.getItem(FOLDED) !== "no",
      onFold: (isFolded) => sessionStorage.setItem(FOLDED, isFolded ? "yes" : "no"),
    });
    this.root = make("div", { className: "sidelight sl-sweep" }, this.left,
      make("section", { className: "sl-sweep-right", ariaLabel: "The run that is open" },
        this.line.root, place, below));
    element.replaceChildren(this.root);
    runGrid(place, {
      onRun: (run) => { this.fold.disabled = false; found.show(run); },
      onKnown: (told) => found.tell(told),
      onGrid: (answer) => this.line.tellGrid(answer),
      onLive: (live) => this.hearLive(live),
      onOpen: () => window.Sidelight.go("compare"),
      emptyAction: [`Start the demo sweep: ${demo}`, () => this.demo({ isStarted: true })],
    });
  }

  buildLeft() {
    const button = (text, onclick, more = {}) => make("button", { type: "button", text, onclick, ...more });
    this.start = button("Start sweep", () => this.begin(), { className: "sl-main", title: "Ctrl+Enter" });
    this.refused = make("div", { className: "sl-problem", role: "alert" });
    this.file = make("input", { type: "file", accept: ".toml", hidden: true });
    this.file.onchange = () => this.read(this.file.files[0]);
    this.fold = button("Hide", () => this.setFolded(true), { disabled: true, title: "More room for the grid" });
    this.unfold = button("New sweep", () => this.setFolded(false), { hidden: true });
    this.line.root.prepend(this.unfold);
    const head = make("header", { className: "sl-tools" }, make("b", { text: "New sweep" }),
      make("span", { className: "sl-push" }), button("Demo sweep", () => this.demo()),
      button("Open file", () => this.file.click()), button("Clear", () => this.clear()), this.fold);
    const keys = [make("kbd", { text: "Ctrl" }), make("kbd", { text: "Enter" })];
    const foot = make("div", { className: "sl-sweep-foot" }, this.outlook.root, this.refused,
      make("div", { className: "sl-row-of" }, this.start, ...keys));
    const form = make("form", { className: "sl-sweep-form", ariaLabel: "New sweep" },
      make("div", { className: "sl-scroll" }, this.builder.root), foot);
    form.onsubmit = (event) => event.preventDefault();
    this.noted = make("div", { className: "sl-one-line", role: "note", hidden: true });
    this.builder.baseLine.after(this.noted);
    this.left = make("aside", { className: "sl-sweep-left" }, head, form, this.file);
  }

  watch() {
    this.left.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.ctrlKey) return;
      event.preventDefault();
      this.begin();
    });
    // Whoever is in the grid is answered by the grid.
    document.addEventListener("keydown", (event) => {
      const isTyped = event.target.closest?.("input, textarea, select, dialog");
      if (event.key !== "?" || event.defaultPrevented || isTyped || !this.root.checkVisibility()) return;
      this.root.querySelector(".sl-grid > dialog")?.showModal();
    });
    this.left.addEventListener("dragover", (event) => event.preventDefault());
    this.left.addEventListener("drop", (event) => {
      event.preventDefault();
      this.read(event.dataTransfer.files[0]);
    });
    document.addEventListener("sidelight:hand", ({ detail }) => {
      if (detail.target === "sweep") this.builder.useCreate();
    });
    document.addEventListener("sidelight:sweep", () => this.takeHanded());
    // What stands in Create may have changed while another tab was shown.
    new IntersectionObserver(([seen]) => seen.isIntersecting && this.ask()).observe(this.left);
  }

  setFolded(isFolded) {
    this.left.hidden = isFolded;
    this.unfold.hidden = !isFolded;
    (isFolded ? this.unfold : this.fold).focus();
  }

  // ---- the builder

  restore() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT));
      if (kept) this.builder.fill(kept);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }

  change() {
    localStorage.setItem(KEPT, JSON.stringify(this.builder.value()));
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.ask(), ASK_AFTER_MS);
  }

  ask() {
    clearTimeout(this.soon);
    this.send("asked", { built: this.builder.value() });
  }

  begin() {
    if (this.start.disabled) return; // it is on its way: a key that is held starts it once
    clearTimeout(this.soon);
    this.refuse("");
    this.start.disabled = true;
    this.send("start", { built: this.builder.value() });
  }

  async read(file) {
    this.file.value = "";
    if (!file) return;
    if (file.size > LONGEST_FILE) this.refuse(`${file.name} is too large for a sweep.toml; give the text file`);
    else this.send("read", { name: file.name, text: await file.text() });
  }

  clear() {
    this.builder.fill({});
    this.change();
  }

  demo({ isStarted = false } = {}) { this.send("demo", { is_started: isStarted }); }

  // One question at a time: of two answers that come together, Gradio would show the last alone. A change that is
  // asked about while something else waits gives way to it.
  send(kind, data) {
    if (this.patience) {
      if (!(kind === "asked" && this.next)) this.next = [kind, data];
      return;
    }
    this.patience = setTimeout(() => this.sendNext(), PATIENCE_MS);
    this.gradio.send[kind]({ turn: ++this.turn, ...data });
  }

  sendNext() {
    clearTimeout(this.patience);
    const next = this.next;
    Object.assign(this, { patience: null, next: null });
    if (next) this.send(...next);
  }

  refuse(text) {
    this.refused.textContent = text;
  }

  // {turn} with {outlook}, {built, is_started}, {refused} or {started, said}.
  hear(answer) {
    if (answer.turn !== this.turn) return; // given up already
    const { outlook, built, refused = "", started } = answer;
    this.refuse(refused);
    this.start.disabled = false;
    if (outlook) {
      this.builder.tell(outlook);
      this.outlook.tell(outlook);
      this.hearNote(answer.note);
    }
    if (built) {
      this.builder.fill(built);
      this.change();
      if (answer.is_started) this.begin();
    }
    if (started) {
      window.Sidelight.open(started, { tab: "sweep" });
      window.Sidelight.say(answer.said);
    }
    this.sendNext();
    if (started) this.ask();
  }

  // What Create took from its checkpoint's note; and its window and plateau as examples of what to vary.
  hearNote({ line = {}, examples = {} } = {}) {
    const { text = "", note = "", more = [] } = line;
    this.noted.hidden = !text;
    const show = make("button", { type: "button", text: "Note", hidden: !note });
    show.onclick = () => window.Sidelight.showNote(note);
    this.noted.replaceChildren(make("span", { text }), show, ...more.map((each) => make("small", { text: each })));
    this.noted.classList.toggle("sl-has-more", more.length > 0);
    for (const row of this.builder.rows) {
      const example = examples[row.value().field];
      if (example) row.text.placeholder = `${example}, by the note`;
    }
  }

  // ---- the run

  hearLive(live) {
    this.live = live;
    this.line.tellLive(live);
  }

  async wish(wish) {
    const job = this.live?.job, isOpen = ["waiting", "running", "paused"].includes(job?.state);
    const run = encodeURIComponent(window.Sidelight.run);
    const path = isOpen ? `/api/queue/${job.id}` : `/api/queue/run/${run}`;
    try {
      await window.Sidelight.json(path, { method: "POST", body: { wish } });
    } catch (error) {
      window.Sidelight.say(error.message);
    }
  }
}

export function mount(element, gradio) {
  return new SweepTab(element, gradio);
}
