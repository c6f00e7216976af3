// A labelled grid of pictures that fills while a run goes on. Knows nothing about routes, runs or where marks are kept.
// A module; the page calls `SidelightGrid.mount(element, {source})`. What `source` answers: `grid()` {title, edition,
// revision, axes: [{name, labels}], cells}; `changes(revision, edition)` {edition, revision, cells that changed since};
// of another edition all is asked for again. A cell: {place, key, state, revision, picture, thumb, width, height,
// reason, warning, values}. Several places may show one picture, by one key.

import { LETTERS, fillCell, stateOf } from "./cell.js";
import { frame } from "./crop.js";
import { make } from "./element.js";
import { watchTable } from "./grid_keys.js";
import { Marks } from "./grid_marks.js";
import { GridStatus, restOf } from "./grid_status.js";
import { GridTools } from "./grid_tools.js";
import { GRID_KEYS, keysHelp } from "./keys_help.js";
import { News } from "./news.js";
import { Overlay } from "./overlay.js";
import { neighbour, nextLayer, placeAt } from "./places.js";

const SMALL = 120, LARGE = 480; // pixels of a cell that fits itself to the window
const NOTHING_LIVE = { is_running: false, cells: {}, preview: null };
const DEFAULTS = {
  seconds: 1,
  emptyTitle: "No pictures yet",
  emptyText: "Choose what to vary, for example guidance 2, 3, 4 and steps 20, 30, and start the sweep. "
    + "Every cell appears here as soon as it is made.",
  thumbSide: 384, // pixels of the longer side of a thumb
  onGrid() {}, // (what `source` answered) after every whole answer and every change
  onSelect() {}, // (cells A to D) after every change of the selection or of a selected cell
  onOpen() {}, // (cell) double click or c
  onMark: null, // async (key, change) -> the whole mark; without it nothing can be marked
  onRetry: null, // (cell) r on a failed cell
  onMeasure: null, // () the measures that are missing are wanted
  overlay: {}, // what was shown of the measures when `onOverlay` last told it
  onOverlay() {}, // ({measure, hasLines, isFilled})
};

class Grid {
  constructor(element, options) {
    this.options = { ...DEFAULTS, ...options };
    this.axes = [];
    this.cells = new Map(); // by place, written "0,2,1"
    this.boxes = new Map(); // of the layer that is shown
    this.selected = []; // places of A to D
    this.view = { across: -1, down: -1, place: [] };
    this.live = NOTHING_LIVE;
    Object.assign(this, { revision: 0, edition: "", ratio: 1, crop: "whole", spots: {}, wanted: [], rest: "waiting" });
    this.marks = new Marks({
      save: (key, change) => this.options.onMark(key, change),
      changed: (keys) => this.redrawKeys(keys),
      said: (problem) => this.status.say("marks", problem),
    });
    this.overlay = new Overlay(this);
    this.build(element);
    this.watch();
    this.news = new News(this.root, () => this.ask(), this.options.seconds);
    this.load().then(() => this.news.poll());
  }

  // ---- once

  build(element) {
    this.help = keysHelp(GRID_KEYS);
    this.tools = new GridTools(this);
    this.table = make("div", { className: "sl-table", role: "grid", ariaMultiSelectable: "true" });
    this.empty = make("div", { className: "sl-empty", hidden: true });
    this.area = make("div", { className: "sl-area" }, this.empty, this.table);
    this.status = new GridStatus(() => this.nextFailed());
    this.root = make("div", { className: "sidelight sl-grid" }, this.tools.root, this.overlay.legend.root,
      this.area, this.status.root, this.help);
    element.replaceChildren(this.root);
    this.tools.drawCrops(this.crop, this.spots);
  }

  watch() {
    watchTable(this);
    this.resized = new ResizeObserver(() => this.fitSize());
    this.resized.observe(this.area);
  }

  destroy() {
    this.isGone = true;
    this.news.end();
    this.resized.disconnect();
    this.root.remove();
  }

  // ---- asking

  async load() {
    try {
      const grid = await this.options.source.grid();
      if (!this.isGone) this.take(grid);
    } catch (error) {
      this.showEmpty("The grid cannot be read", String(error.message ?? error), "Try again");
    }
  }

  take(answer) {
    const { title, edition, revision, axes, cells } = answer;
    const isSame = JSON.stringify(axes) === JSON.stringify(this.axes);
    const hasFocus = this.table.contains(document.activeElement);
    Object.assign(this, { isLoaded: true, axes, edition, revision, session: answer.progress?.session });
    this.table.ariaLabel = title || "Pictures";
    this.cells = new Map(cells.map((cell) => [cell.place.join(), cell]));
    this.ratio = Math.max(0, ...cells.map(({ width, height }) => (width ? height / width : 0))) || 1;
    if (!isSame) {
      this.view = { across: axes.length ? 0 : -1, down: axes.length > 1 ? 1 : -1, place: axes.map(() => 0) };
      this.selected = [];
    }
    this.selected = this.selected.filter((id) => this.cells.has(id));
    if (this.wanted.length) this.setSelected(this.wanted);
    if (!cells.length) this.showEmpty(this.options.emptyTitle, this.options.emptyText);
    else this.draw();
    if (hasFocus && cells.length) this.focus(this.view.place);
    this.drawCounts();
    this.options.onGrid(answer);
    if (this.selected.length || !isSame) this.tellSelected();
  }

  async ask() {
    if (!this.isLoaded) return;
    try {
      const answer = await this.options.source.changes(this.revision, this.edition);
      this.status.say("news", "");
      if (this.isGone) return;
      if (answer.edition === this.edition) this.update(answer);
      else await this.load();
    } catch (error) {
      this.status.say("news", `No news of this run: ${error.message ?? error}. Asking again.`);
    }
  }

  update(answer) {
    Object.assign(this, { revision: answer.revision, session: answer.progress?.session });
    this.options.onGrid(answer);
    const isNews = (cell) => this.cells.get(cell.place.join())?.revision !== cell.revision;
    const news = answer.cells.filter(isNews), ids = news.map(({ place }) => place.join());
    if (!news.length) return;
    for (const cell of news) this.cells.set(cell.place.join(), cell);
    this.redraw(ids);
    this.drawCounts();
    if (ids.some((id) => this.selected.includes(id))) this.tellSelected();
  }

  // What is being made: {is_running, cells: {KEY: {step, steps}}, preview: {key, url} or null, job: {state} or null}.
  setLive(live) {
    const sayOf = (cell) => JSON.stringify([this.liveOf(cell), cell.state === "waiting" && this.rest]);
    const told = () => new Map([...this.cells].map(([id, cell]) => [id, sayOf(cell)]));
    const before = told();
    Object.assign(this, { live: live.is_running ? live : NOTHING_LIVE, rest: restOf(live.job, this.session) });
    const news = [...told()].filter(([id, now]) => now !== before.get(id)).map(([id]) => id);
    this.redraw(news);
    if (news.length) this.drawCounts();
  }

  liveOf(cell) {
    const live = cell?.state !== "done" && this.live.cells[cell?.key];
    return live ? { ...live, url: this.live.preview?.key === cell.key ? this.live.preview.url : "" } : null;
  }

  // ---- drawing

  showEmpty(title, text, again) {
    this.table.replaceChildren();
    this.boxes.clear();
    this.empty.hidden = false;
    this.tools.root.hidden = true;
    this.empty.replaceChildren(make("b", { text: title }), make("span", { text }));
    const retry = () => this.load();
    if (again) this.empty.append(make("br"), make("button", { type: "button", text: again, onclick: retry }));
  }

  labelsOf(axis) { return axis < 0 ? [""] : this.axes[axis].labels; }

  placeOf(box) { return box.dataset.place === "" ? [] : box.dataset.place.split(",").map(Number); }

  nameOf(place) {
    return place.map((at, axis) => `${this.axes[axis].name} ${this.axes[axis].labels[at]}`).join(", ");
  }

  draw() {
    const { across, down } = this.view;
    this.empty.hidden = true;
    this.tools.root.hidden = this.axes.length === 0;
    this.boxes.clear();
    const corner = make("div", { className: "sl-corner", role: "presentation" });
    if (across >= 0) corner.append(make("span", { text: `${this.axes[across].name} →` }));
    if (down >= 0) corner.append(make("span", { text: `${this.axes[down].name} ↓` }));
    const heading = (className, role, text) => make("div", { className, role }, make("span", { text, title: text }));
    const columns = this.labelsOf(across).map((text) => heading("sl-column", "columnheader", text));
    const rows = this.labelsOf(down).map((text, row) => make("div", { className: "sl-row", role: "row" },
      heading("sl-label", "rowheader", text), ...this.labelsOf(across).map((_, column) => this.box(column, row))));
    this.table.replaceChildren(make("div", { className: "sl-row sl-head", role: "row" }, corner, ...columns), ...rows);
    this.table.ariaRowCount = String(rows.length + 1);
    this.table.ariaColCount = String(columns.length + 1);
    const texts = [...this.labelsOf(down), ...[...corner.children].map(({ textContent }) => textContent)];
    const longest = Math.max(...texts.map((text) => text.length));
    this.root.style.setProperty("--sl-label", `${Math.max(52, Math.min(170, 7 * longest + 21))}px`);
    this.tools.draw();
    this.drawFocus();
    this.fitSize();
  }

  box(column, row) {
    const box = make("div", { role: "gridcell", tabIndex: -1 });
    box.dataset.place = placeAt(this.view, column, row).join();
    this.boxes.set(box.dataset.place, box);
    this.fill(box, box.dataset.place);
    return box;
  }

  fill(box, id) {
    const cell = this.cells.get(id);
    fillCell(box, cell, {
      at: this.selected.indexOf(id),
      name: this.nameOf(this.placeOf(box)),
      mark: this.marks.of(cell?.key),
      live: this.liveOf(cell),
      rest: this.rest,
      canRetry: Boolean(this.options.onRetry),
      frame: (image) => this.frame(image, cell),
    });
    this.overlay.dress(box, cell);
  }

  // Cut-outs and large cells are shown from the lossless file, others from its small version; answers the address.
  frame(image, cell) {
    const box = { width: this.pixels, height: this.height };
    const isCut = frame(image, cell, this.spots[this.crop], { crop: this.crop, box });
    return isCut || this.isLarge ? cell.picture : cell.thumb;
  }

  drawCounts() {
    const all = new Map([...this.cells.values()].map((cell) => [cell.key, stateOf(cell, this.liveOf(cell))]));
    this.status.draw([...all.values()], this.rest);
  }

  setSize(pixels, { isChosen = this.isSizeChosen } = {}) {
    this.isSizeChosen = isChosen;
    const height = Math.round(pixels * this.ratio); // whole pixels, so that a 1:1 cut-out stays sharp
    const isLarge = Math.max(pixels, height) * devicePixelRatio > this.options.thumbSide;
    const isOther = this.crop !== "whole" && (this.pixels !== pixels || this.height !== height);
    const isTurned = this.isLarge !== isLarge;
    Object.assign(this, { pixels, height, isLarge });
    this.tools.drawSize(pixels);
    this.root.style.setProperty("--sl-cell", `${pixels}px`);
    this.root.style.setProperty("--sl-height", `${this.height}px`);
    this.root.style.setProperty("--sl-lines", String(Math.max(1, Math.floor((this.height - 40) / 14))));
    if (isOther || isTurned) this.redraw(this.boxes.keys());
    this.overlay.lay();
  }

  // Until someone chooses a size, all columns fit the window, and all rows too unless their cells would be small.
  fitSize() {
    const corner = this.table.querySelector(".sl-corner"), { clientWidth, clientHeight } = this.area;
    if (!corner?.offsetWidth || !clientWidth) return;
    if (this.isSizeChosen) return this.setSize(this.pixels);
    const across = (clientWidth - corner.offsetWidth - 12) / this.labelsOf(this.view.across).length - 3;
    const down = (clientHeight - corner.offsetHeight - 12) / this.labelsOf(this.view.down).length - 3;
    const room = Math.min(across, Math.max(SMALL, down / this.ratio));
    this.setSize(Math.max(56, Math.min(LARGE, Math.floor(room / 4) * 4)));
  }

  setCrop(crop) {
    this.crop = crop;
    this.tools.drawCrops(crop, this.spots);
    this.redraw(this.boxes.keys());
  }

  setSpots(spots) {
    if (JSON.stringify(spots) === JSON.stringify(this.spots)) return;
    this.spots = spots;
    this.setCrop(spots[this.crop] ? this.crop : "whole");
  }

  // ---- walking

  drawFocus() {
    const { across, down, place } = this.view, here = place.join();
    for (const box of this.table.querySelectorAll("[tabindex='0']")) box.tabIndex = -1;
    this.boxes.get(here).tabIndex = 0;
    for (const head of this.table.querySelectorAll(".sl-here")) head.classList.remove("sl-here");
    const [first, ...rows] = this.table.children;
    first.children[(across < 0 ? 0 : place[across]) + 1].classList.toggle("sl-here", across >= 0);
    rows[down < 0 ? 0 : place[down]].firstChild.classList.toggle("sl-here", down >= 0);
  }

  focus(place, isTaken = true) {
    const { across, down } = this.view;
    const isOtherLayer = place.some((at, axis) => at !== this.view.place[axis] && axis !== across && axis !== down);
    this.view.place = place;
    if (isOtherLayer) this.draw();
    else this.drawFocus();
    if (!isTaken) return;
    const box = this.boxes.get(place.join());
    box.focus({ preventScroll: true });
    box.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  neighbour(place, columns, rows) { return neighbour(this.view, this.axes, place, columns, rows); }

  turnLayer(by) { this.focus(nextLayer(this.view, this.axes, by)); }

  turn(side, axis) {
    const other = side === "across" ? "down" : "across";
    if (this.view[other] === axis) this.view[other] = this.view[side]; // it was there: the two change places
    this.view[side] = axis;
    this.draw();
  }

  swap() {
    const { across, down } = this.view;
    Object.assign(this.view, { across: down, down: across });
    this.draw();
  }

  nextFailed() {
    const failed = [...this.cells.values()].filter((cell) => cell.state === "failed");
    if (!failed.length) return;
    const here = failed.findIndex((cell) => cell.place.join() === this.view.place.join());
    this.focus([...failed[(here + 1) % failed.length].place]);
  }

  // ---- selecting and marking

  select(id, at = this.selected.indexOf(id)) {
    if (!this.cells.has(id)) return;
    const before = [...this.selected];
    if (at >= 0) this.selected.splice(at, 1);
    else if (this.selected.length < LETTERS.length) this.selected.push(id);
    else this.selected[LETTERS.length - 1] = id;
    this.redraw(new Set([...before, ...this.selected]));
    this.tellSelected();
  }

  setSelected(keys) {
    this.wanted = this.isLoaded ? [] : keys; // before there is a grid they wait for it
    const idOf = (key) => [...this.cells].find(([, cell]) => cell.key === key)?.[0];
    const isShown = this.selected.map((id) => this.cells.get(id).key).join() === keys.join();
    if (isShown) return;
    const before = this.selected;
    this.selected = keys.map(idOf).filter((id) => id !== undefined).slice(0, LETTERS.length);
    this.redraw(new Set([...before, ...this.selected]));
  }

  redraw(ids) {
    for (const id of ids) if (this.boxes.has(id)) this.fill(this.boxes.get(id), id);
  }

  redrawKeys(keys) {
    const some = new Set(keys);
    const ids = [...this.cells].filter(([, { key }]) => some.has(key)).map(([id]) => id);
    this.redraw(ids);
    if (ids.some((id) => this.selected.includes(id))) this.tellSelected();
  }

  clear() {
    this.setSelected([]);
    this.tellSelected();
  }

  tellSelected() { this.options.onSelect(this.selected.map((id) => this.cells.get(id))); }

  open(cell) {
    const id = cell.place.join();
    if (!this.selected.includes(id)) this.select(id);
    this.options.onOpen(cell);
  }

  mark(change) {
    const cell = this.cells.get(this.view.place.join());
    if (this.options.onMark && cell?.state === "done") this.marks.say(cell.key, change);
  }
}

window.SidelightGrid = {
  // Answers what the page may ask of a grid: `next` is the cell beside another in the grid as it is turned now.
  mount(element, options) {
    const grid = new Grid(element, options);
    return {
      reload: () => grid.load(),
      refresh: () => grid.news.poll(),
      swap: () => grid.swap(),
      focus: (place) => grid.focus([...place]),
      setSelected: (keys) => grid.setSelected(keys),
      setLive: (live) => grid.setLive(live),
      setMarks: (marks) => grid.marks.take(marks),
      setSpots: (spots) => grid.setSpots(spots),
      setCrop: (crop) => grid.setCrop(crop),
      setMeasures: (measures) => grid.overlay.take(measures),
      setFindings: (findings) => grid.overlay.bracket(findings),
      markOf: (key) => grid.marks.of(key),
      mark: (key, change) => grid.marks.say(key, change),
      next: (cell, columns, rows) => grid.cells.get(grid.neighbour(cell.place, columns, rows).join()),
      nameOf: (cell) => grid.nameOf(cell.place),
      destroy: () => grid.destroy(),
    };
  },
};
