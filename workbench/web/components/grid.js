// A labelled grid of pictures that fills while a run goes on. Knows nothing about routes, runs or where marks are kept.
// A module; the page calls `SidelightGrid.mount(element, {source})`. What `source` answers: `grid()` {title, axes:
// [{name, labels}], cells}; `changes(after)` the cells whose `rev` is above `after`, one count for all cells.
// A cell: {place, key, rev, state, reason, warning, url, thumb, label, step, steps, mark}; its mark: {pick: "pick",
// "reject" or "", stars: 0 to 5}.

import { LETTERS, NO_MARK, fillCell } from "./cell.js";
import { make } from "./element.js";
import { onKey } from "./grid_keys.js";
import { GRID_KEYS, keysHelp } from "./keys_help.js";
import { News } from "./news.js";
import { neighbour, nextLayer, placeAt } from "./places.js";

const SPOKEN_EVERY_MS = 10_000;
const DEFAULTS = {
  seconds: 1,
  emptyTitle: "No pictures yet",
  emptyText: "Choose what to vary, for example guidance 2, 3, 4 and steps 20, 30, and start the sweep. "
    + "Every cell appears here as soon as it is made.",
  onSelect() {}, // (cells A to D) after every change of the selection or of a selected cell
  onOpen() {}, // (cell) double click or c
  onMark: null, // async (cell, mark), one after the other in the order of the keys; without it nothing can be marked
  onRetry: null, // (cell) r on a failed cell
};

class Grid {
  constructor(element, options) {
    this.options = { ...DEFAULTS, ...options };
    this.axes = [];
    this.cells = new Map(); // by place, written "0,2,1"
    this.boxes = new Map(); // of the layer that is shown
    this.selected = []; // places of A to D
    this.view = { across: -1, down: -1, place: [] };
    this.rev = 0;
    this.saving = Promise.resolve();
    this.unsaved = new Map(); // place -> {count of presses under way, saved mark}
    this.spokenAt = 0;
    this.build(element);
    this.watch();
    this.news = new News(this.root, () => this.ask(), this.options.seconds);
    this.load().then(() => this.news.poll());
  }

  // ---- once

  build(element) {
    this.columns = make("select", { onchange: (event) => this.turn("across", Number(event.target.value)) });
    this.rows = make("select", { onchange: (event) => this.turn("down", Number(event.target.value)) });
    this.layers = make("span", { className: "sl-layers" });
    this.size = make("input", { type: "range", min: 56, max: 512, step: 4 });
    this.size.oninput = () => { this.isSizeChosen = true; this.setSize(Number(this.size.value)); };
    const swap = make("button", { type: "button", text: "Swap", title: "Swap rows and columns (s)" });
    swap.onclick = () => this.swap();
    this.help = keysHelp(GRID_KEYS);
    const help = make("button", { type: "button", text: "?", title: "All keys", ariaLabel: "All keys" });
    help.onclick = () => this.help.showModal();
    const named = (text, field) => {
      field.ariaLabel = text;
      return make("label", { className: "sl-field", text }, field);
    };
    this.tools = make("div", { className: "sl-tools", role: "toolbar", ariaLabel: "Grid" },
      named("Columns", this.columns), swap, named("Rows", this.rows), this.layers,
      make("span", { className: "sl-push" }), named("Size", this.size), help);
    this.table = make("div", { className: "sl-table", role: "grid", ariaMultiSelectable: "true" });
    this.empty = make("div", { className: "sl-empty", hidden: true });
    this.area = make("div", { className: "sl-area" }, this.empty, this.table);
    this.counts = make("span");
    this.failed = make("button", { type: "button", hidden: true, title: "Go to the next failed cell (n)" });
    this.failed.onclick = () => this.nextFailed();
    const problem = () => make("span", { className: "sl-problem", role: "alert" });
    this.said = { news: problem(), marks: problem() };
    this.spoken = make("span", { className: "sl-spoken", ariaLive: "polite" });
    const said = Object.values(this.said);
    this.status = make("div", { className: "sl-status" }, this.counts, this.failed, ...said, this.spoken);
    this.root = make("div", { className: "sidelight sl-grid" }, this.tools, this.area, this.status, this.help);
    element.replaceChildren(this.root);
  }

  watch() {
    this.table.addEventListener("click", (event) => {
      const box = event.target.closest(".sl-cell");
      if (!box) return;
      this.focus(this.placeOf(box));
      if (event.detail < 2) this.select(box.dataset.place);
    });
    this.table.addEventListener("dblclick", (event) => {
      const cell = this.cells.get(event.target.closest(".sl-cell")?.dataset.place);
      if (cell) this.open(cell);
    });
    this.table.addEventListener("keydown", (event) => onKey(this, event));
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

  take({ title = "", axes, cells }) {
    const isSame = JSON.stringify(axes) === JSON.stringify(this.axes);
    this.isLoaded = true;
    this.axes = axes;
    this.table.ariaLabel = title || "Pictures";
    this.cells = new Map(cells.map((cell) => [cell.place.join(), cell]));
    this.rev = cells.reduce((most, { rev }) => Math.max(most, rev), 0);
    if (!isSame) {
      this.view = { across: axes.length ? 0 : -1, down: axes.length > 1 ? 1 : -1, place: axes.map(() => 0) };
      this.selected = [];
    }
    this.selected = this.selected.filter((id) => this.cells.has(id));
    if (!cells.length) this.showEmpty(this.options.emptyTitle, this.options.emptyText);
    else this.draw();
    this.drawCounts();
    this.tellSelected();
  }

  async ask() {
    if (!this.isLoaded) return;
    try {
      this.update(await this.options.source.changes(this.rev));
      this.say("news", "");
    } catch (error) {
      this.say("news", `No news of this run: ${error.message ?? error}. Asking again.`);
    }
  }

  update(changed) {
    const news = changed.filter((cell) => this.cells.get(cell.place.join())?.rev !== cell.rev);
    if (!news.length || this.isGone) return;
    const wasEmpty = !this.cells.size;
    for (const cell of news) {
      const id = cell.place.join();
      const mark = this.unsaved.has(id) ? this.cells.get(id).mark : cell.mark;
      this.cells.set(id, { ...cell, mark });
      this.rev = Math.max(this.rev, cell.rev);
      if (this.boxes.has(id)) this.fill(this.boxes.get(id), id);
    }
    if (wasEmpty) this.draw();
    this.drawCounts();
    if (news.some((cell) => this.selected.includes(cell.place.join()))) this.tellSelected();
  }

  // ---- drawing

  showEmpty(title, text, again) {
    this.table.replaceChildren();
    this.boxes.clear();
    this.empty.hidden = false;
    this.tools.hidden = true;
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
    this.tools.hidden = this.axes.length === 0;
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
    this.drawTools();
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
    fillCell(box, this.cells.get(id), {
      at: this.selected.indexOf(id),
      name: this.nameOf(this.placeOf(box)),
      canRetry: Boolean(this.options.onRetry),
      onRatio: (ratio) => this.setRatio(ratio),
    });
  }

  drawTools() {
    const { across, down, place } = this.view;
    const option = (text, value, chosen) => make("option", { text, value, selected: value === chosen });
    const options = (texts, chosen) => texts.map((text, value) => option(text, value, chosen));
    const names = this.axes.map(({ name }) => name);
    this.columns.replaceChildren(...options(names, across));
    this.rows.replaceChildren(...options(names, down));
    if (down < 0) this.rows.prepend(make("option", { text: "none", value: -1, selected: true }));
    const further = [...this.axes.keys()].filter((axis) => axis !== across && axis !== down);
    this.layers.replaceChildren(...further.map((axis) => {
      const choice = make("select", { ariaLabel: this.axes[axis].name });
      choice.onchange = () => this.focus(this.view.place.with(axis, Number(choice.value)), false);
      choice.append(...options(this.axes[axis].labels, place[axis]));
      return make("label", { className: "sl-field", text: this.axes[axis].name }, choice);
    }));
  }

  drawCounts() {
    const all = [...this.cells.values()], count = (state) => all.filter((cell) => cell.state === state).length;
    const rest = ["live", "waiting", "skipped"].filter(count).map((state) => `${count(state)} ${state}`);
    const done = `${count("done")} of ${all.length}`, failed = count("failed");
    this.counts.replaceChildren(make("b", { text: done }), ` done${rest.length ? `, ${rest.join(", ")}` : ""}`);
    this.counts.hidden = !all.length;
    this.failed.hidden = !failed;
    this.failed.textContent = `${failed} failed`;
    if (Date.now() - this.spokenAt < SPOKEN_EVERY_MS) return;
    this.spokenAt = Date.now();
    this.spoken.textContent = `${done} done${failed ? `, ${failed} failed` : ""}`;
  }

  say(about, text) {
    if (this.said[about].textContent !== text) this.said[about].textContent = text;
  }

  setRatio(ratio) {
    if (!ratio || this.ratio >= ratio) return; // the tallest picture decides
    this.ratio = ratio;
    this.root.style.setProperty("--sl-ratio", String(ratio));
    this.setSize(Number(this.size.value));
  }

  setSize(pixels) {
    this.size.value = pixels;
    this.size.ariaValueText = `${pixels} pixels`;
    this.root.style.setProperty("--sl-cell", `${pixels}px`);
    const lines = Math.floor((pixels * (this.ratio ?? 1) - 40) / 14);
    this.root.style.setProperty("--sl-lines", String(Math.max(1, lines)));
  }

  // Until someone chooses a size, all columns fit the window.
  fitSize() {
    const label = this.table.querySelector(".sl-corner")?.offsetWidth;
    if (this.isSizeChosen || !label || !this.area.clientWidth) return;
    const room = (this.area.clientWidth - label - 12) / this.labelsOf(this.view.across).length - 3;
    this.setSize(Math.max(56, Math.min(320, Math.floor(room / 4) * 4)));
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

  setSelected(places) {
    const before = this.selected;
    this.selected = places.map((place) => place.join()).filter((id) => this.cells.has(id)).slice(0, LETTERS.length);
    this.redraw(new Set([...before, ...this.selected]));
  }

  redraw(ids) {
    for (const id of ids) if (this.boxes.has(id)) this.fill(this.boxes.get(id), id);
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

  // Shown at once, saved in the order of the keys however fast they come; what could not be saved is taken back.
  mark(change) {
    const id = this.view.place.join(), cell = this.cells.get(id), before = cell?.mark ?? NO_MARK;
    if (!this.options.onMark || cell?.state !== "done") return;
    const mark = { ...NO_MARK, ...before, ...change };
    const unsaved = this.unsaved.get(id) ?? { count: 0, saved: before };
    unsaved.count++;
    this.unsaved.set(id, unsaved);
    this.setMark(id, mark);
    const isSaved = () => { unsaved.saved = mark; this.say("marks", ""); };
    const isLost = (error) => {
      if (unsaved.count === 1) this.setMark(id, unsaved.saved);
      this.say("marks", `The mark was not saved: ${error.message ?? error}. Press the key again.`);
    };
    this.saving = this.saving.then(() => this.options.onMark(cell, mark)).then(isSaved, isLost).then(() => {
      unsaved.count--;
      if (!unsaved.count) this.unsaved.delete(id);
    });
  }

  setMark(id, mark) {
    this.cells.set(id, { ...this.cells.get(id), mark });
    this.redraw([id]);
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
      setSelected: (places) => grid.setSelected(places),
      next: (cell, columns, rows) => grid.cells.get(grid.neighbour(cell.place, columns, rows).join()),
      nameOf: (cell) => grid.nameOf(cell.place),
      destroy: () => grid.destroy(),
    };
  },
};
