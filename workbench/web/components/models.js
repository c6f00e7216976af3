// All models as a table with a pane beside it, worked by mouse or keys. Knows nothing about routes.
// A module; `mount(element, {source, onUse, say})`. What `source` answers: `models()` {rows, families, kinds, folder,
// own_list, free_bytes}, `pulls()` {pulls}, `pull(name, agreed)`, `cancel`, `verify`, `restore(name)`, `remove(name,
// {files, agreed})`, `add({...})`. Whoever mounts it calls `tick()` about once a second.

import { choice, make, press } from "./element.js";
import { keysHelp } from "./keys_help.js";
import { AddForm } from "./models_add.js";
import { Detail, actionsOf } from "./models_detail.js";
import { isRunning, sizeText } from "./models_words.js";
import { ModelRow } from "./models_row.js";

const ROWS_EVERY = 20; // ticks: what the command line did meanwhile is seen then
const QUIET_EVERY = 4;
const MODEL_KEYS = [
  ["↑ ↓", "walk the models; Home and End: the first, the last"],
  ["Enter", "what can be done with it: the focus goes to its buttons"],
  ["/", "filter by text; Esc clears it"],
  ["u d v", "use in Create, download or go on, verify"],
  ["x", "cancel the download or check; what came is kept"],
  ["a", "add your own"],
  ["Esc", "not now: a question or the form is put away"],
  ["?", "this list"],
];

class ModelsPanel {
  constructor(element, { source, onUse = () => {}, say = () => {} }) {
    Object.assign(this, { source, onUse, say });
    this.told = { rows: [], families: [], kinds: [], folder: "", own_list: "", free_bytes: 0 };
    this.lines = new Map(); // by name
    this.family = "";
    this.isHereOnly = false;
    this.selected = "";
    this.questions = new Map(); // by name
    this.problems = new Map(); // by name
    this.turn = 0;
    this.isAsked = false;
    this.build(element);
    this.onKeyDown = (event) => this.onKey(event);
    document.addEventListener("keydown", this.onKeyDown);
  }

  // ---- once

  build(element) {
    this.filter = make("input", { type: "search", placeholder: "Filter", ariaLabel: "Filter models by text",
      spellcheck: false, oninput: () => this.draw() });
    this.chips = make("span", { className: "sl-models-families" });
    this.hereOnly = make("button", { type: "button", text: "Only what is here", ariaPressed: "false",
      onclick: () => this.showHereOnly() });
    this.sum = make("span", { className: "sl-models-sum" });
    const add = make("button", { type: "button", text: "Add your own …", onclick: () => this.openForm() });
    this.help = keysHelp(MODEL_KEYS);
    const help = make("button", { type: "button", text: "?", title: "All keys", ariaLabel: "All keys of the models",
      onclick: () => this.help.showModal() });
    const tools = make("div", { className: "sl-tools" }, this.filter, this.chips, this.hereOnly,
      make("span", { className: "sl-push" }), this.sum, add, help);
    this.problem = make("div", { className: "sl-models-said sl-problem", role: "alert", hidden: true });
    this.table = make("div", { className: "sl-models-table", role: "grid", ariaLabel: "Models" });
    this.empty = make("div", { className: "sl-empty", hidden: true });
    this.detail = new Detail({
      use: (row) => this.onUse(row.name), download: (row) => this.download(row), verify: (row) => this.verify(row),
      cancel: (row) => this.cancel(row), delete: (row) => this.askDelete(row), remove: (row) => this.remove(row),
    });
    this.spoken = make("span", { className: "sl-spoken", ariaLive: "polite" });
    this.root = make("div", { className: "sidelight sl-models" }, tools, this.problem,
      make("div", { className: "sl-models-body" },
        make("div", { className: "sl-models-area" }, this.table, this.empty), this.detail.root),
      this.spoken, this.help);
    element.replaceChildren(this.root);
  }

  end() { document.removeEventListener("keydown", this.onKeyDown); }

  // ---- asking

  // Asks what is new; cheap while nothing runs. Never raises.
  async tick() {
    const turn = this.turn++;
    const isMoving = this.told.rows.some(isRunning);
    if (!this.told.rows.length || turn % ROWS_EVERY === 0) return this.refresh();
    if (!isMoving && turn % QUIET_EVERY) return undefined;
    return this.heard(async () => {
      const { pulls } = await this.source.pulls();
      const before = endings(this.told.rows);
      for (const row of this.told.rows) row.pull = pulls[row.name] ?? null;
      if (endings(this.told.rows) !== before) await this.ask();
      this.draw();
    });
  }

  refresh() { return this.heard(async () => { await this.ask(); this.draw(); }); }

  async ask() {
    const ended = new Map(this.told.rows.filter(isRunning).map((row) => [row.name, row]));
    this.told = await this.source.models();
    this.isAsked = true;
    const now = this.told.rows.find((row) => ended.has(row.name) && !isRunning(row) && row.pull);
    if (now) this.spoken.textContent = `${now.name}: ${now.pull.state}`;
  }

  async heard(ask) {
    try {
      await ask();
      this.tell("");
    } catch (error) {
      this.tell(`No news of the models: ${error.message}. Asking again.`);
    }
  }

  tell(text) {
    this.problem.hidden = !text;
    this.problem.textContent = text;
  }

  // ---- drawing

  shownRows() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hay = (row) => [row.name, row.kind, row.state, row.licence, row.source, ...row.about].join(" ").toLowerCase();
    const fits = (row) => (!this.family || row.family === this.family) &&
      (!this.isHereOnly || row.state === "here" || isRunning(row)) && words.every((word) => hay(row).includes(word));
    return this.told.families.flatMap(([family]) =>
      this.told.rows.filter((row) => row.family === family && fits(row)));
  }

  draw() {
    const rows = this.shownRows();
    if (!rows.some((row) => row.name === this.selected)) {
      this.selected = (rows.find((row) => row.state === "here") ?? rows[0])?.name ?? "";
    }
    this.drawTools();
    this.drawTable(rows);
    this.drawEmpty(rows);
    this.drawDetail();
  }

  drawTools() {
    const families = this.told.families.filter(([family]) => this.told.rows.some((row) => row.family === family));
    if (this.chips.childElementCount !== 1 && families.length) {
      const values = [["All", ""], ...families.map(([family, title]) => [title, family])];
      this.chips.replaceChildren(choice("Family", values, (family) => { this.family = family; this.draw(); }));
    }
    if (this.chips.firstChild) press(this.chips.firstChild, this.family);
    this.hereOnly.ariaPressed = String(this.isHereOnly);
    const here = this.told.rows.filter((row) => row.state === "here");
    const free = this.told.free_bytes ? ` · ${sizeText(this.told.free_bytes)} free` : "";
    this.sum.textContent = this.isAsked ? `${here.length} of ${this.told.rows.length} here${free}` : "";
    this.sum.title = this.told.folder && `Downloads go to ${this.told.folder}`;
  }

  drawTable(rows) {
    const wanted = [];
    for (const [family, title] of this.told.families) {
      const mine = rows.filter((row) => row.family === family);
      if (mine.length) wanted.push(this.groupLine(family, title, mine), ...mine.map((row) => this.line(row).root));
    }
    if (wanted.length) wanted.unshift(this.headLine ??= headLine());
    const have = [...this.table.children];
    const isOther = wanted.length !== have.length || wanted.some((one, at) => one !== have[at]);
    if (isOther) this.table.replaceChildren(...wanted);
  }

  groupLine(family, title, rows) {
    this.groups ??= new Map();
    if (!this.groups.has(family)) {
      const cell = make("div", { role: "gridcell", ariaColSpan: "6" });
      this.groups.set(family, make("div", { className: "sl-model-group", role: "row" }, cell));
    }
    const group = this.groups.get(family);
    group.firstChild.replaceChildren(make("b", { text: title }), make("span", { text: String(rows.length) }));
    return group;
  }

  line(row) {
    if (!this.lines.has(row.name)) this.lines.set(row.name, new ModelRow(row.name, (name) => this.select(name)));
    const line = this.lines.get(row.name);
    line.show(row, row.name === this.selected);
    return line;
  }

  drawEmpty(rows) {
    this.empty.hidden = rows.length > 0 || !this.isAsked;
    if (this.empty.hidden) return;
    const clear = make("button", { type: "button", text: "Show all", onclick: () => this.showAll() });
    this.empty.replaceChildren(make("b", { text: "No model fits" }),
      make("p", { text: "Nothing in the lists has these words. Show all, or add a model of your own." }), clear);
  }

  drawDetail() {
    if (this.form) return;
    const row = this.told.rows.find((one) => one.name === this.selected);
    if (!row) {
      this.detail.put(make("p", { className: "sl-quiet", text: this.isAsked ? "Select a model at the left." : "" }));
      return;
    }
    const title = this.told.families.find(([family]) => family === row.family)?.[1];
    this.detail.show(row, { title, question: this.questions.get(row.name), problem: this.problems.get(row.name) });
  }

  // ---- what a person does

  select(name, { focus = false } = {}) {
    this.selected = name;
    this.form = null;
    this.draw();
    if (focus) this.lines.get(name)?.focus();
  }

  showHereOnly() {
    this.isHereOnly = !this.isHereOnly;
    this.draw();
  }

  showAll() {
    Object.assign(this, { family: "", isHereOnly: false });
    this.filter.value = "";
    this.draw();
  }

  openForm() {
    this.form = new AddForm({
      families: this.told.families, add: (what) => this.source.add(what), onClose: () => this.closeForm(),
      onAdded: async (name, isAsked = false) => {
        await this.refresh();
        if (!isAsked) return;
        this.showAll();
        this.select(name, { focus: true });
      },
    });
    this.detail.put(this.form.root);
    this.form.focus();
  }

  closeForm() {
    this.form = null;
    this.drawDetail();
    this.lines.get(this.selected)?.focus();
  }

  // Does something for a row; a refusal is told in its pane.
  async act(row, work) {
    this.problems.delete(row.name);
    try {
      await work();
    } catch (error) {
      this.questions.delete(row.name);
      this.problems.set(row.name, error.message);
    }
    await this.refresh();
  }

  put(row, question) {
    if (question) this.questions.set(row.name, question);
    else this.questions.delete(row.name);
    this.drawDetail();
    if (question && this.selected === row.name) this.detail.root.querySelector(".sl-model-question button")?.focus();
  }

  download(row) {
    const isAgreed = row.state === "partly here" || row.state === "damaged";
    return isAgreed ? this.begin(row) : this.askDownload(row);
  }

  begin(row) {
    this.questions.delete(row.name);
    return this.act(row, () => this.source.pull(row.name, true));
  }

  askDownload(row) {
    const waiting = { text: ["Asking the hub how large it is …"], buttons: [["Not now", () => this.put(row, null)]] };
    this.put(row, waiting);
    return this.act(row, async () => {
      const plan = await this.source.pull(row.name, false);
      if (this.questions.get(row.name) !== waiting) return; // it was put away meanwhile
      const size = sizeText(plan.bytes), files = plan.files === 1 ? "1 file" : `${plan.files} files`;
      const room = `${size} in ${files}, into ${plan.folder}; ${sizeText(plan.free_bytes)} are free there.`;
      this.put(row, { text: [room, ...plan.agree], buttons: [
        [`Agree and download ${size}`, () => this.begin(row), true], ["Not now", () => this.put(row, null)]] });
    });
  }

  verify(row) { return this.act(row, () => this.source.verify(row.name)); }

  cancel(row) { return this.act(row, () => this.source.cancel(row.name)); }

  askDelete(row) {
    return this.act(row, async () => {
      const gone = await this.source.remove(row.name, { files: true, agreed: false });
      const size = sizeText(gone.bytes), files = gone.files === 1 ? "1 file" : `${gone.files} files`;
      const text = [`Delete ${files}, ${size}, from the disk? This cannot be undone; they can be downloaded again.`];
      if (gone.users.length) text.push(`Needed by others too: ${gone.users.join(", ")}.`);
      const buttons = [["Keep", () => this.put(row, null)], [`Delete ${size}`, () => this.delete(row)]];
      this.put(row, { text, buttons });
    });
  }

  delete(row) {
    this.questions.delete(row.name);
    return this.act(row, async () => {
      const gone = await this.source.remove(row.name, { files: true, agreed: true });
      this.say(`${row.name}: ${sizeText(gone.bytes)} deleted`);
    });
  }

  remove(row) {
    return this.act(row, async () => {
      await this.source.remove(row.name, { files: false, agreed: true });
      const back = () => this.act(row, async () => { await this.source.restore(row.name); this.selected = row.name; });
      this.say(`${row.name} was taken out of your list; its files stay`, { label: "Undo", action: back });
    });
  }

  // ---- keys

  onKey(event) {
    const isTyped = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
    if (event.altKey || event.ctrlKey || event.metaKey || !this.root.checkVisibility()) return;
    if (event.key === "Escape" && this.root.contains(event.target)) return this.escape(event);
    const acts = this.keys();
    if (isTyped || !Object.hasOwn(acts, event.key) || this.isOnButton(event)) return;
    event.preventDefault();
    acts[event.key]();
  }

  // Enter on a button is that button's.
  isOnButton(event) { return event.key === "Enter" && event.target.closest?.("button"); }

  escape(event) {
    const row = this.told.rows.find((one) => one.name === this.selected);
    if (event.target === this.filter) this.filter.value = "";
    else if (this.form) return this.closeForm();
    else if (row && this.questions.has(row.name)) this.put(row, null);
    this.draw();
    return this.lines.get(this.selected)?.focus();
  }

  keys() {
    const row = this.told.rows.find((one) => one.name === this.selected);
    const walk = (step) => () => this.walk(step);
    const run = (name) => () => {
      if (row && actionsOf(row).some(([can]) => can === name)) this.detail.acts[name](row);
    };
    return {
      ArrowDown: walk(1), ArrowUp: walk(-1), Home: walk(-Infinity), End: walk(Infinity),
      Enter: () => this.detail.root.querySelector("button")?.focus(), "/": () => this.filter.focus(),
      u: run("use"), d: run("download"), v: run("verify"), x: run("cancel"), a: () => this.openForm(),
      "?": () => this.help.showModal(),
    };
  }

  walk(step) {
    const rows = this.shownRows(), at = rows.findIndex((row) => row.name === this.selected);
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
    if (next) this.select(next.name, { focus: true });
  }
}

// Which downloads and checks run and how the others ended: when this changes, so do the rows.
function endings(rows) { return rows.map((row) => row.pull && `${row.pull.what} ${row.pull.state}`).join(); }

function headLine() {
  const cells = ["Name", "Kind", "State", "Size", "Licence", "Defaults"];
  return make("div", { className: "sl-model sl-model-head", role: "row" },
    ...cells.map((text) => make("div", { role: "columnheader", text })));
}

export function mount(element, options) { return new ModelsPanel(element, options); }
