// The list of all runs: searched, sorted, walked by keys, with the trash behind it. Knows nothing about routes.
// A module; the page calls `SidelightShelf.mount(element, {source})`. What `source` answers: `runs()`, newest first,
// [{run, name, date, last, checkpoints, progress: {cells, done, failed, session, reason}, bytes, stars, texts, remarks,
// fault, job}]; `strip(run)` addresses of small pictures; `trash()` {runs: [{id, name, when, bytes}], bytes}.

import { make } from "./element.js";
import { keysHelp } from "./keys_help.js";
import { News } from "./news.js";
import { ORDERS, bytesText, find, isSingle, many, sorted, totals } from "./shelf_find.js";
import { SHELF_KEYS, onKey } from "./shelf_keys.js";
import { fillRow, fillStrip, rowOf } from "./shelf_row.js";
import { Tools } from "./shelf_tools.js";
import { TrashView } from "./shelf_trash.js";

const SETTLED_MS = 120; // a row that is only scrolled past asks for no pictures
const FIRST = "Every sweep and every picture that you make is kept here as a run. "
  + "Make one picture in Create, or start a grid in Sweep.";
const BY_ONE = "pictures that were made one by one, as in Create";
const DEFAULTS = {
  seconds: 5,
  scope: null, // the element whose keys are the list's, if more than its own
  onSelect() {}, // (row or null) after every change of the selection or of the selected row; null over the trash
  onOpen() {}, // (row, tab) Enter or double click: compare; o: sweep
  onResume() {}, // these answer promises; what they refuse is told in one line
  onExport() {},
  onTrash() {},
  onRestore() {}, // (id)
  onEmpty() {}, // (ids)
};

class Shelf {
  constructor(element, options) {
    this.options = { ...DEFAULTS, ...options };
    this.rows = [];
    this.boxes = new Map(); // run -> element
    this.shown = [];
    this.selected = "";
    this.order = { by: "date", isUp: false };
    this.strips = new Map(); // run -> what its strip was made for
    this.build(element);
    this.watch();
    this.news = new News(this.root, () => this.load(), this.options.seconds);
    this.load().then(() => this.news.poll());
  }

  // ---- once

  build(element) {
    this.tools = new Tools({ hear: () => this.draw(), leave: () => this.focus(), help: () => this.help.showModal() });
    this.head = make("div", { className: "sl-run sl-run-head", role: "presentation" });
    this.list = make("div", { className: "sl-runs", role: "listbox", ariaLabel: "Runs" });
    this.empty = make("div", { className: "sl-empty", hidden: true });
    this.trash = new TrashView({
      restore: (id) => this.options.onRestore(id),
      empty: (ids) => this.options.onEmpty(ids),
      leave: () => this.showTrash(false),
    });
    this.total = make("span");
    this.singles = make("button", { type: "button", onclick: () => this.toggleSingles() });
    this.trashButton = make("button", { type: "button", onclick: () => this.showTrash(this.trash.root.hidden) });
    this.problem = make("span", { className: "sl-problem", role: "alert" });
    this.status = make("div", { className: "sl-status" }, this.total, this.singles, this.problem,
      make("span", { className: "sl-push" }), this.trashButton);
    this.help = keysHelp(SHELF_KEYS);
    this.main = make("div", { className: "sl-shelf-main" }, this.head, this.empty, this.list);
    const parts = [this.tools.root, this.main, this.trash.root, this.status, this.help];
    this.root = make("div", { className: "sidelight sl-shelf" }, ...parts);
    this.trash.take({ runs: [], bytes: 0 });
    element.replaceChildren(this.root);
  }

  watch() {
    this.list.addEventListener("click", (event) => {
      const box = event.target.closest(".sl-run");
      if (box) this.select(box.dataset.run, { isFocused: true });
    });
    this.list.addEventListener("dblclick", (event) => {
      if (event.target.closest(".sl-run")) this.act("onOpen", "compare");
    });
    this.heard = (event) => onKey(this, event);
    document.addEventListener("keydown", this.heard);
    this.seen = new IntersectionObserver((entries) => this.onSeen(entries), { root: this.list, rootMargin: "100px" });
    this.visible = new Set();
  }

  destroy() {
    this.news.end();
    this.seen.disconnect();
    document.removeEventListener("keydown", this.heard);
    this.root.remove();
  }

  // ---- asking

  async load() {
    try {
      const [rows, trash] = await Promise.all([this.options.source.runs(), this.options.source.trash()]);
      if (this.isLost) this.say("");
      this.isLost = false;
      this.take(rows);
      if (this.selected && !this.row) this.miss();
      this.trash.take(trash);
      this.drawStatus();
    } catch (error) {
      this.isLost = true;
      this.say(String(error.message ?? error));
    }
  }

  take(rows) {
    const told = JSON.stringify(rows);
    if (told === this.told) return;
    const before = JSON.stringify(this.row);
    this.told = told;
    this.rows = rows;
    this.byRun = new Map(rows.map((row) => [row.run, row]));
    this.tools.setCheckpoints([...new Set(rows.flatMap((row) => row.checkpoints))].sort());
    for (const [run, box] of this.boxes) if (!this.byRun.has(run)) this.forget(run, box);
    for (const row of rows) this.update(row);
    this.draw();
    if (!this.row || JSON.stringify(this.row) === before) return;
    this.options.onSelect(this.row);
    if (!before) this.drawSelection()?.scrollIntoView({ block: "nearest" });
  }

  // The selected run is not there: a link of yesterday, or somebody else put it away.
  miss() {
    this.say(`There is no run ${this.selected} here any more; it may be in the trash.`);
    this.selected = "";
    this.options.onSelect(null);
  }

  forget(run, box) {
    this.seen.unobserve(box);
    this.boxes.delete(run);
    this.strips.delete(run);
    this.visible.delete(run);
  }

  update(row) {
    const known = this.boxes.get(row.run), told = JSON.stringify(row);
    if (known?.told === told) return;
    const box = known ?? rowOf(row);
    box.told = told;
    fillRow(box, row);
    this.boxes.set(row.run, box);
    if (!known) this.seen.observe(box);
    else if (this.visible.has(row.run)) this.loadStrip(row.run);
  }

  onSeen(entries) {
    for (const { target, isIntersecting } of entries) {
      const { run } = target.dataset;
      if (!isIntersecting) this.visible.delete(run);
      else {
        this.visible.add(run);
        setTimeout(() => { if (this.visible.has(run)) this.loadStrip(run); }, SETTLED_MS);
      }
    }
  }

  async loadStrip(run) {
    const row = this.byRun.get(run);
    if (!row || row.fault) return;
    const made = `${row.progress.done} ${row.stars}`;
    if (this.strips.get(run) === made) return;
    this.strips.set(run, made);
    try {
      const thumbs = row.progress.done ? await this.options.source.strip(run) : [];
      if (this.boxes.has(run)) fillStrip(this.boxes.get(run), thumbs);
    } catch {
      this.strips.delete(run); // it may have gone just now; else it is asked again when it is next seen
    }
  }

  // ---- drawing

  get row() { return this.byRun?.get(this.selected); }

  get isNarrowed() { return this.tools.isNarrowed(this.wanted); }

  draw() {
    this.wanted = this.tools.wanted();
    const found = sorted(find(this.rows, this.wanted), this.order);
    const isHidden = (row) => isSingle(row) && row.run !== this.selected;
    this.hiddenSingles = this.areSinglesShown || found.every(isSingle) ? [] : found.filter(isHidden);
    const hidden = new Set(this.hiddenSingles);
    const shown = found.filter((row) => !hidden.has(row)).map((row) => row.run);
    if (shown.join("\n") !== this.shown.join("\n")) this.place(shown);
    this.drawSelection();
    this.drawHead();
    this.drawEmpty();
    this.drawStatus();
  }

  place(shown) {
    const focused = document.activeElement?.closest?.(".sl-run");
    this.shown = shown;
    this.list.replaceChildren(...shown.map((run) => this.boxes.get(run)));
    if (focused && this.list.contains(focused)) focused.focus({ preventScroll: true });
  }

  // One row is selected and reached by Tab; without a selection the first one is reached.
  drawSelection() {
    for (const box of this.list.querySelectorAll("[aria-selected='true'], [tabindex='0']")) {
      box.ariaSelected = "false";
      box.tabIndex = -1;
    }
    const box = this.shown.includes(this.selected) ? this.boxes.get(this.selected) : null;
    if (box) box.ariaSelected = "true";
    const reached = box ?? this.boxes.get(this.shown[0]);
    if (reached) reached.tabIndex = 0;
    return box;
  }

  drawHead() {
    const had = [...this.head.children].indexOf(document.activeElement);
    const title = (text) => make("span", { text });
    const sorts = ["stars", "bytes", "date"].map((key) => this.sortButton(key));
    this.head.replaceChildren(title("pictures"), this.sortButton("name"), title("progress"), ...sorts);
    this.head.children[had]?.focus();
  }

  sortButton(key) {
    const { by, isUp } = this.order, isOn = key === by;
    const text = `${ORDERS[key]}${isOn ? (isUp ? " ↑" : " ↓") : ""}`;
    const ariaLabel = `Sort by ${ORDERS[key]}${isOn ? (isUp ? ", now ascending" : ", now descending") : ""}`;
    const button = make("button", { type: "button", text, ariaLabel, ariaPressed: String(isOn) });
    button.onclick = () => this.sort(key);
    return button;
  }

  drawEmpty() {
    const isFirst = !this.rows.length;
    this.empty.hidden = this.shown.length > 0;
    this.head.hidden = this.list.hidden = isFirst;
    if (!this.told) this.empty.replaceChildren("Looking at the runs…");
    else if (isFirst) this.empty.replaceChildren(make("b", { text: "No runs yet" }), FIRST);
    else this.empty.replaceChildren(make("b", { text: "No run fits" }), "Take out a word or a filter.");
  }

  drawStatus() {
    const { runs, pictures, bytes } = totals(this.shown.map((run) => this.byRun.get(run)));
    this.total.textContent = `${many(runs, "run")}, ${many(pictures, "picture")}, ${bytesText(bytes)}`;
    const hidden = this.hiddenSingles?.length ?? 0;
    this.singles.hidden = !hidden && !this.areSinglesShown;
    this.singles.textContent = hidden ? `and ${many(hidden, "single picture")}` : "single pictures shown";
    this.singles.title = `${hidden ? "Show" : "Hide"} ${BY_ONE}`;
    this.singles.ariaPressed = String(Boolean(this.areSinglesShown));
    const lying = this.trash.runs.length;
    this.trashButton.textContent = lying ? `Trash (${lying})` : "Trash";
    this.trashButton.ariaPressed = String(!this.trash.root.hidden);
  }

  say(text) { if (this.problem.textContent !== text) this.problem.textContent = text; }

  // ---- doing

  sort(by) {
    const isSame = by === this.order.by;
    this.order = { by, isUp: isSame ? !this.order.isUp : by === "name" };
    this.draw();
  }

  toggleSingles() {
    this.areSinglesShown = !this.areSinglesShown;
    this.draw();
  }

  showTrash(isShown) {
    this.trash.root.hidden = !isShown;
    this.main.hidden = this.tools.root.hidden = isShown;
    this.options.onSelect(isShown ? null : this.row ?? null);
    this.drawStatus();
    if (isShown) this.trash.back.focus();
    else this.focus();
  }

  select(run, { isFocused = false } = {}) {
    const isOther = run !== this.selected;
    this.selected = run;
    if (!this.shown.includes(run) && this.byRun?.has(run)) this.draw(); // a single picture that was hidden
    const box = this.drawSelection();
    if (isFocused) box?.focus({ preventScroll: true });
    if (isOther) this.options.onSelect(this.row ?? null);
    if (run && this.told && !this.row) this.load(); // it may have been begun just now
    box?.scrollIntoView({ block: "nearest" }); // last: who heard of it may have taken room from the list
  }

  focus() { (this.list.querySelector("[tabindex='0']") ?? this.tools.text).focus(); }

  walk(by) {
    const at = this.shown.indexOf(this.selected);
    const last = this.shown.length - 1;
    const next = at < 0 ? (by > 0 ? 0 : last) : Math.max(0, Math.min(last, at + by));
    if (last >= 0) this.select(this.shown[next], { isFocused: true });
  }

  // Whether it was done; what is refused is told in one line.
  async act(name, ...more) {
    if (!this.row) return false;
    try {
      if (this.row.fault && name !== "onTrash") throw new Error("This run cannot be read; its report says what to do.");
      this.say("");
      await this.options[name](this.row, ...more);
      return true;
    } catch (error) {
      this.say(String(error.message ?? error));
      return false;
    }
  }

  // The keys go on with the run that takes its place.
  async putAway() {
    const at = this.shown.indexOf(this.selected);
    if (!(await this.act("onTrash"))) return;
    this.select(this.shown[at + 1] ?? this.shown[at - 1] ?? "", { isFocused: true });
    await this.load();
  }
}

window.SidelightShelf = {
  mount(element, options) {
    const shelf = new Shelf(element, options);
    return {
      refresh: () => shelf.load(),
      select: (run) => shelf.select(run),
      putAway: () => shelf.putAway(),
      focus: () => shelf.focus(),
      destroy: () => shelf.destroy(),
    };
  },
};
