// The Compare tab: the grid of a run, two to four of its pictures beside it, what is thought of them and what differs.
// Knows nothing about how panes or cells are drawn; it brings selection, keys, marks, places and the address together.

import "../components/marks_bar.js";
import "../components/viewer.js";
import "../components/vote.js";
import { LETTERS } from "../components/cell.js";
import { make } from "../components/element.js";
import { SPOTS, isTyped } from "../components/gestures.js";
import { COMPARE_KEYS } from "../components/keys_help.js";
import { Ticks } from "../components/ticks.js";
import { nextPicture, telling } from "./compare_choice.js";
import { divider } from "./compare_divider.js";
import { MarksGiven } from "./compare_marks.js";
import { RunChooser } from "./compare_runs.js";
import { Use } from "./compare_use.js";
import { runGrid } from "./run_grid.js";

const KEPT = "sidelight.compare";
const KEPT_AFTER_MS = 200;
const PLACES_SECONDS = 5;
const PREFETCH_AFTER_MS = 300;

class Compare {
  constructor(element, { folder = "runs" }) {
    this.kept = { isAdvancing: false, jump: "", left: 0.44, ...JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") };
    Object.assign(this, { run: "", axes: [], cells: new Map(), selected: [], gridPlace: "", spots: {} });
    this.build(element, folder);
    this.watch();
  }

  // ---- once

  build(element, folder) {
    this.chooser = new RunChooser();
    this.use = new Use(folder);
    this.ticks = new Ticks((axis, isPaired) =>
      this.json("ticks", `?${new URLSearchParams({ axis, paired: Number(isPaired) })}`));
    this.marks = new MarksGiven({
      of: (key) => this.grid.grid().markOf(key),
      mark: (key, change) => this.grid.grid().mark(key, change),
      told: ({ text, isLost }) => this.bar.tell(text, isLost),
    });
    const barAt = make("div"), viewerAt = make("div", { className: "sl-right" });
    this.gridAt = make("div", { className: "sl-at" });
    this.jump = this.buildJump();
    this.vote = make("button", { type: "button", text: "Vote blind", disabled: true,
      title: "Two pictures of this run without their settings: say which skin you believe",
      onclick: () => window.SidelightVote.open({ run: this.run }) });
    const left = make("div", { className: "sl-left" }, make("div", { className: "sl-tools" }, this.chooser.root,
      make("span", { className: "sl-push" }), make("label", { className: "sl-field", text: "Open at" }, this.jump),
      this.vote),
      this.gridAt);
    this.root = make("div", { className: "sidelight sl-compare" }, left);
    this.root.append(divider(this.root, this.kept.left, (share) => this.keep({ left: share })), viewerAt);
    element.replaceChildren(this.root);
    this.bar = window.SidelightMarksBar.mount(barAt, this.barOptions());
    this.bar.setAdvance(this.kept.isAdvancing);
    this.viewer = window.SidelightViewer.mount(viewerAt, {
      between: barAt, beside: this.use.root, disclosures: [this.ticks], keys: COMPARE_KEYS,
      onWalk: ({ pane, columns, rows }) => this.walk(pane, columns, rows),
      onSpot: (name, rectangle) => this.setPlace(name, rectangle),
      onSwap: () => this.open([this.selected[1], this.selected[0], ...this.selected.slice(2)]),
      onActive: () => { this.gridPlace = ""; this.drawTarget(); },
      onChange: () => this.keepSoon(),
    });
    if (this.kept.viewer) this.viewer.restore(this.kept.viewer);
    this.grid = runGrid(this.gridAt, {
      onRun: (run) => this.takeRun(run),
      onGrid: (answer) => this.takeGrid(answer),
      onSelect: (cells) => this.take(cells),
      onOpen: () => this.viewer.focus(),
      emptyTitle: "Nothing to compare yet",
      emptyText: "Start a sweep in Sweep, or choose a run above: its pictures appear here while they are made.",
    });
    this.chooser.start();
    this.draw();
  }

  barOptions() {
    return {
      onMark: (change, key) => this.mark(key, change),
      onUndo: () => this.undo(),
      onRetry: () => this.marks.retry(),
      onLetter: (at) => { this.gridPlace = ""; this.viewer.setActive(at); this.drawTarget(); },
      onAdvance: (isAdvancing) => this.keep({ isAdvancing }),
      onLeave: () => this.refocus(),
    };
  }

  buildJump() {
    const option = (text, value) => make("option", { text, value, selected: value === this.kept.jump });
    const jump = make("select", { ariaLabel: "Open at", title: "Where a cell that is opened is looked at first" },
      option("same place", ""), ...SPOTS.map(([text, name]) => option(text.toLowerCase(), name)));
    jump.onchange = () => { this.keep({ jump: jump.value }); this.viewer.goTo(jump.value); };
    return jump;
  }

  watch() {
    document.addEventListener("keydown", (event) => this.onKey(event), true);
    this.root.addEventListener("focusin", ({ target }) => {
      const cell = target.closest(".sl-grid .sl-cell");
      if (!cell) return;
      this.gridPlace = cell.dataset.place;
      this.drawTarget();
    });
    window.addEventListener("pagehide", () => this.keep());
    window.addEventListener("beforeunload", (event) => {
      this.bar.keepRemark();
      if (this.marks.isUnsaved) event.preventDefault();
    });
    window.Sidelight.onRun(({ run, cells }) => { if (run === this.run) this.follow(cells); });
    window.Sidelight.poll(this.root, () => this.askPlaces(), PLACES_SECONDS);
  }

  json(kind, rest = "", more = {}) {
    return window.Sidelight.json(`/api/${kind}/${encodeURIComponent(this.run)}${rest}`, more);
  }

  // ---- what comes from the grid and the address

  takeRun(run) {
    if (this.selected.length) this.viewer.show([]);
    this.isReloaded = !this.run && this.kept.run === run; // then zoom and place are as they were left
    Object.assign(this, { run, axes: [], cells: new Map(), selected: [], gridPlace: "", spots: {} });
    Object.assign(this, { isCleared: false, isOurs: false, crop: "" });
    this.vote.disabled = false;
    this.marks.forget();
    this.ticks.forget();
    this.bar.tell("");
    this.viewer.setSpots({});
    this.askPlaces();
  }

  takeGrid({ axes, cells }) {
    if (axes) Object.assign(this, { axes, cells: new Map() });
    for (const cell of cells) this.cells.set(cell.place.join(), cell);
    const { cells: wanted } = window.Sidelight, isOurs = this.isOurs && wanted.length < 2;
    if (!this.isCleared && (!wanted.length || isOurs)) this.choose();
    else if (axes) this.follow(wanted);
    else if (cells.some(({ key }) => wanted.includes(key))) this.draw();
  }

  // While a run fills, one picture becomes two as soon as there are two.
  choose() {
    const chosen = telling(this.axes, [...this.cells.values()]);
    this.isOurs = true;
    if (chosen.length) this.open(chosen).then(() => this.lookAt());
  }

  // The same cells as the address says: their places are sure now, their marks are others, or a person chose none.
  take(cells) {
    if (this.isEmptied) this.isCleared = !cells.length;
    this.selected = cells;
    this.draw();
  }

  follow(keys) {
    if (!this.cells.size) return;
    const before = this.selected.map(({ key }) => key), all = [...this.cells.values()];
    if (keys.join() === before.join()) return window.Sidelight.aim && this.draw();
    Object.assign(this, { isCleared: false, isOurs: false, isEmptied: !keys.length });
    this.selected = keys.map((key) => all.find((cell) => cell.key === key)).filter(Boolean);
    const isOpened = keys.some((key) => !before.includes(key));
    this.draw().then(() => { if (isOpened) this.lookAt(); });
    queueMicrotask(() => { // by then `take` has heard it, if it was said in the grid
      if (this.isEmptied && !this.isCleared) this.choose();
      this.isEmptied = false;
    });
  }

  // Where an opened cell is looked at first; after a reload, where it was left.
  lookAt() {
    if (this.kept.jump && !this.isReloaded && !this.isAimed) this.viewer.goTo(this.kept.jump);
    this.isReloaded = this.isAimed = false;
  }

  // Where another tab wants to be looked at, once its pictures are there.
  takeAim() {
    const { aim } = window.Sidelight;
    window.Sidelight.aim = null;
    this.isAimed = Boolean(aim);
    if (!aim) return;
    const { crop, ...view } = aim;
    this.viewer.restore({ view });
    this.crop = crop;
    this.cropGrid();
  }

  open(cells) {
    this.isCleared = !cells.length;
    this.selected = cells;
    window.Sidelight.open(this.run, { cells: cells.map(({ key }) => key) });
    return this.draw();
  }

  // ---- drawing

  draw() {
    const grid = this.grid?.grid();
    if (!grid && this.run) return Promise.resolve(); // it is being mounted, and tells more soon
    const isWaiting = this.run && !this.cells.size;
    const shown = isWaiting ? Promise.resolve()
      : this.viewer.show(this.selected.map((cell) => this.pictureOf(this.cellOf(cell), grid)));
    if (window.Sidelight.aim && this.selected.length && !isWaiting) shown.then(() => this.takeAim());
    this.drawTarget();
    this.prefetchSoon();
    return shown;
  }

  cellOf(cell) { return this.cells.get(cell.place.join()) ?? cell; }

  pictureOf(cell, grid) {
    const { key, picture, state, reason, values } = cell;
    return { url: picture ?? "", name: grid.nameOf(cell), values, state, reason, mark: grid.markOf(key) };
  }

  // The cell that marks are for: the one in the grid where the focus is or was last, or the active pane's.
  target() {
    const cell = this.cells.get(this.gridPlace) ?? this.selected[this.viewer.active()];
    return cell && this.cellOf(cell);
  }

  drawTarget() {
    const cell = this.target(), grid = this.grid?.grid();
    const isInGrid = this.cells.has(this.gridPlace);
    const inPane = isInGrid ? this.selected.findIndex(({ key }) => key === cell.key) : this.viewer.active();
    const at = cell ? inPane : -1;
    if (at >= 0) this.viewer.setActive(at);
    this.use.show(this.run, LETTERS[at] ?? "", cell);
    this.bar.show({
      id: cell?.key ?? "", letters: LETTERS.slice(0, this.selected.length), at, isMarkable: cell?.state === "done",
      name: cell && grid ? grid.nameOf(cell) : "", mark: cell && grid ? grid.markOf(cell.key) : undefined,
    });
  }

  // Walking along an axis shall not wait for the next picture.
  prefetchSoon() {
    clearTimeout(this.prefetching);
    this.prefetching = setTimeout(() => {
      const cell = this.target(), grid = this.grid?.grid();
      if (!cell || !grid) return;
      for (const [columns, rows] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        const url = grid.next(cell, columns, rows)?.picture;
        if (url) new Image().src = url;
      }
    }, PREFETCH_AFTER_MS);
  }

  // ---- what a person does

  onKey(event) {
    const { target, key } = event, isOutside = !this.root.contains(target);
    if (!this.root.checkVisibility() || isTyped(target) || document.querySelector("dialog[open]")) return;
    if (isOutside && target !== document.body && !target.closest("[role=tab]")) return;
    if (this.bar.onKey(event)) return;
    if (["Delete", "Backspace"].includes(key) && target.closest(".sl-stage")) this.takeOut();
    const isMove = /^(Arrow|Home|End|Enter|Escape)/.test(key);
    const isElsewhere = target !== document.body && !target.closest(".sl-stage");
    if (!(isMove && isElsewhere)) this.viewer.onKey(event);
  }

  takeOut() {
    const at = this.viewer.active();
    this.open(this.selected.filter((_, i) => i !== at));
    this.viewer.focus();
  }

  walk(at, columns, rows) {
    const grid = this.grid.grid(), cell = this.selected[at], next = cell && grid.next(cell, columns, rows);
    if (next && next.place.join() !== cell.place.join()) this.put(at, next);
  }

  put(at, cell) {
    this.gridPlace = "";
    this.open(this.selected.map((each, i) => (i === at ? cell : each)));
  }

  mark(key, change) {
    const cell = this.target();
    this.marks.give(key, change).then(() => this.ticks.refresh());
    this.marks.say();
    this.draw();
    const isRating = change.stars > 0 || ["pick", "reject"].includes(change.pick);
    if (this.kept.isAdvancing && isRating && cell?.key === key) this.advance(cell);
  }

  advance(cell) {
    const grid = this.grid.grid();
    const longest = Math.max(...this.axes.map(({ labels }) => labels.length));
    const next = nextPicture(cell, (...step) => grid.next(...step), longest);
    if (!next) this.marks.say("That was the last picture.");
    else if (this.gridPlace) grid.focus(next.place);
    else this.put(this.viewer.active(), next);
  }

  // Goes back to the picture that the mark was for.
  undo() {
    const key = this.marks.undo();
    if (!key) return;
    const cell = [...this.cells.values()].find((each) => each.key === key);
    const at = this.selected.findIndex((each) => each.key === key);
    if (this.gridPlace) this.grid.grid().focus(cell.place);
    else if (at >= 0) this.viewer.setActive(at);
    else this.put(this.viewer.active(), cell);
    this.draw();
  }

  refocus() {
    const cell = this.cells.get(this.gridPlace);
    if (cell) this.grid.grid().focus(cell.place);
    else this.viewer.focus();
  }

  // ---- places, and what a reload brings back

  takePlaces(run, spots) {
    if (run !== this.run || JSON.stringify(spots) === JSON.stringify(this.spots)) return;
    this.spots = spots;
    this.viewer.setSpots(spots);
    this.grid?.grid()?.setSpots(spots);
    this.cropGrid();
  }

  // Another tab wants the cells to show this place; it may be known only later.
  cropGrid() {
    if (!this.spots[this.crop]) return;
    this.grid.grid()?.setCrop(this.crop);
    this.crop = "";
  }

  async askPlaces() {
    const { run } = this;
    if (!run) return;
    try {
      this.takePlaces(run, await this.json("places"));
    } catch (error) {
      if (this.cells.size) this.bar.tell(`Places are not known: ${error.message}`);
    }
  }

  async setPlace(name, rectangle) {
    const { run } = this;
    try {
      this.takePlaces(run, await this.json("places", "", { method: "POST", body: { name, rectangle } }));
      window.Sidelight.say(`The ${name} is kept for every picture of this run; ${keyOf(name)} goes to it.`);
    } catch (error) {
      window.Sidelight.say(`The ${name} was not saved: ${error.message}`);
    }
  }

  keepSoon() {
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => this.keep(), KEPT_AFTER_MS);
  }

  keep(change = {}) {
    this.kept = { ...this.kept, ...change, run: this.run, viewer: this.viewer.state() };
    sessionStorage.setItem(KEPT, JSON.stringify(this.kept));
  }
}

function keyOf(name) { return SPOTS.find(([, each]) => each === name)[2].toUpperCase(); }

export function mount(element, gradio) {
  return new Compare(element, gradio.value ?? {});
}
