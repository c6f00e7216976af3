// Notes: the checkpoints that have one at the left, the note at the right; changed in place, undone, sent and read.
// Knows nothing about routes: `source` asks for it, `acts` are what else the page can do.

import { make } from "./element.js";
import { askWhich } from "./note_conflicts.js";
import { NoteView } from "./note_view.js";

const EMPTY = [
  "A note keeps what you found out about a checkpoint: settings to start from, its guidance window, where more steps "
    + "change nothing, and the pictures that show it.",
  "Sweep a checkpoint over guidance or steps with several seeds, measure it, and press 'Keep as note' under what was "
    + "found. Create and Sweep then start from it.",
];

// `source` {list(), note(name), save(said), restore(said), read(file, {take, as}), exportUrl(name)}; `acts` {open(run,
// keys), use(name), sweep()}; `say(text, more)`.
export class NotesPanel {
  constructor({ source, acts, say }) {
    Object.assign(this, { source, acts, say, rows: [], name: "", note: null, past: [], saving: Promise.resolve() });
    this.build();
    this.watch();
  }

  // ---- once

  build() {
    const button = (text, title, onclick, more = {}) =>
      make("button", { type: "button", text, title, onclick, ...more });
    this.file = make("input", { type: "file", accept: ".zip,.toml", hidden: true, tabIndex: -1 });
    this.file.onchange = () => this.import(this.file.files[0]);
    const title = make("b", { text: "Notes" });
    this.list = make("div", { className: "sl-note-list", role: "listbox", ariaLabel: "Checkpoints that have a note",
      tabIndex: 0 });
    const left = make("aside", { className: "sl-notebook-left" }, make("header", { className: "sl-tools" }, title,
      make("span", { className: "sl-push" }), button("Import", "A note that somebody sent; or drop it anywhere here",
        () => this.file.click()), this.file), this.list);
    this.title = make("h2");
    this.told = make("span", { className: "sl-quiet" });
    this.undoer = button("Undo", "Take the last change back (Ctrl+Z)", () => this.undo(), { disabled: true });
    this.exporter = make("a", { text: "Export", title: "One file to send: no path of this machine, no name of yours",
      className: "sl-note-link", download: "" });
    this.user = button("Use in Create", "Create starts from this note", () => this.acts.use(this.name),
      { className: "sl-main" });
    this.head = make("header", { className: "sl-tools" }, this.title, this.told, make("span", { className: "sl-push" }),
      this.undoer, this.exporter, this.user);
    this.path = make("code", { className: "sl-note-path", title: "The note's file" });
    this.problem = make("p", { className: "sl-problem", role: "alert", hidden: true });
    this.place = make("div", { className: "sl-note-place" });
    this.right = make("section", { className: "sl-notebook-right", ariaLabel: "The note" }, this.head, this.problem,
      this.place, make("footer", {}, this.path));
    this.empty = make("div", { className: "sl-note-empty", hidden: true }, make("b", { text: "No notes yet" }),
      ...EMPTY.map((text) => make("p", { text })), make("div", { className: "sl-note-acts" },
        button("Open Sweep", "Vary guidance or steps", () => this.acts.sweep(), { className: "sl-main" }),
        button("Import a note", "That somebody sent", () => this.file.click())));
    const over = { className: "sl-notebook-over", text: "Drop a note that somebody sent", hidden: true };
    this.over = make("div", over);
    this.root = make("div", { className: "sidelight sl-notebook" }, left, this.right, this.empty, this.over);
  }

  watch() {
    this.list.onkeydown = (event) => this.walk(event);
    this.root.addEventListener("keydown", (event) => {
      const isTyped = event.target.closest("input, textarea");
      if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || isTyped) return;
      event.preventDefault();
      this.undo();
    });
    const bringsFile = (event) => event.dataTransfer?.types.includes("Files");
    this.root.addEventListener("dragover", (event) => {
      if (!bringsFile(event)) return;
      event.preventDefault();
      this.over.hidden = false;
    });
    this.root.addEventListener("dragleave", ({ relatedTarget }) => {
      if (!this.root.contains(relatedTarget)) this.over.hidden = true;
    });
    this.root.addEventListener("drop", (event) => {
      this.over.hidden = true;
      if (!bringsFile(event)) return;
      event.preventDefault();
      this.import(event.dataTransfer.files[0]);
    });
  }

  // ---- the list

  // Looks what there is; `name` is the note that is to be seen.
  async look(name = this.name) {
    try {
      const { notes } = await this.source.list();
      this.rows = notes;
      const there = notes.some((row) => row.checkpoint === name);
      this.drawList(there ? name : notes[0]?.checkpoint ?? "");
      this.root.classList.toggle("sl-has-none", !notes.length);
      this.empty.hidden = notes.length > 0;
      if (name && !there) this.say(`There is no note of ${name} yet.`);
      if (notes.length) await this.open(there ? name : notes[0].checkpoint);
    } catch (error) {
      this.refuse(error.message);
    }
  }

  drawList(name) {
    const hadFocus = this.list.contains(document.activeElement);
    this.list.replaceChildren(...this.rows.map((row, at) => rowOf(row, at, row.checkpoint === name)));
    for (const [at, element] of [...this.list.children].entries()) {
      element.onclick = () => this.open(this.rows[at].checkpoint);
    }
    const chosen = this.list.querySelector("[aria-selected=true]");
    this.list.setAttribute("aria-activedescendant", chosen?.id ?? "");
    chosen?.scrollIntoView({ block: "nearest" });
    if (hadFocus) this.list.focus();
  }

  walk(event) {
    const at = this.rows.findIndex(({ checkpoint }) => checkpoint === this.name), last = this.rows.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
    if (to === undefined || !this.rows[to]) return;
    event.preventDefault();
    this.open(this.rows[to].checkpoint);
  }

  // ---- the note

  async open(name) {
    if (name !== this.name) Object.assign(this, { name, past: [], view: null, note: null });
    this.drawList(name);
    try {
      const answer = await this.source.note(name);
      if (this.name === name) this.show(answer);
    } catch (error) {
      this.refuse(error.message);
    }
  }

  show(answer) {
    this.note = answer;
    this.view ??= new NoteView({
      save: (field, text) => this.save(field, text),
      restore: (version) => this.restore(version),
      open: (run, keys) => this.acts.open(run, keys),
    });
    if (this.place.firstChild !== this.view.root) this.place.replaceChildren(this.view.root);
    this.view.show(answer);
    this.title.textContent = answer.checkpoint;
    const weights = Object.fromEntries(answer.rows).weights ?? "";
    this.told.textContent = [answer.day && `kept ${answer.day}${answer.by && ` by ${answer.by}`}`, weights,
      answer.is_here ? "" : "not on this disk"].filter(Boolean).join(" · ");
    this.path.textContent = answer.path;
    this.exporter.href = this.source.exportUrl(answer.checkpoint);
    this.exporter.hidden = Boolean(answer.fault);
    this.user.disabled = Boolean(answer.fault) || !answer.is_here;
    this.undoer.disabled = !this.past.length;
    this.refuse("");
  }

  refuse(text) { Object.assign(this.problem, { textContent: text, hidden: !text }); }

  // One change after the other, each over the version that the last one made. Throws what the server refuses.
  save(field, text) {
    return this.change((stamp) => this.source.save({ checkpoint: this.name, stamp, changes: { [field]: text } }));
  }

  async restore(version) {
    try {
      await this.change((stamp) => this.source.restore({ checkpoint: this.name, stamp, version }));
      this.say(`Version ${version} stands again.`, { label: "Undo", action: () => this.undo() });
    } catch (error) {
      this.refuse(error.message);
    }
  }

  change(ask) {
    const name = this.name, latest = (answer) => answer.history[0]?.version ?? 0;
    const work = this.saving.then(async () => {
      const before = latest(this.note);
      const answer = await ask(this.note.stamp);
      if (this.name !== name) return;
      if (latest(answer) > before) this.past.push(latest(answer)); // what stood before is the newest of the history
      this.show(answer);
      this.refreshRow(answer);
    });
    this.saving = work.catch(() => null);
    return work;
  }

  async undo() {
    const version = this.past.pop();
    if (!version) return;
    const left = [...this.past];
    try {
      await this.change((stamp) => this.source.restore({ checkpoint: this.name, stamp, version }));
    } catch (error) {
      this.refuse(error.message);
    }
    this.past = left;
    this.undoer.disabled = !left.length;
  }

  refreshRow({ checkpoint, day, rows }) {
    const said = Object.fromEntries(rows);
    const line = said["start from"] ?? said["guidance window"] ?? "no settings yet";
    this.rows = this.rows.map((row) => (row.checkpoint === checkpoint ? { ...row, day, line, fault: "" } : row));
    this.drawList(this.name);
  }

  // ---- a note that was sent

  async import(file) {
    this.file.value = "";
    if (!file) return;
    try {
      const { told, take } = await this.askImport(file);
      if (!take) return;
      await this.source.read(file, { take, as: told.checkpoint });
      this.past = [];
      await this.look(told.checkpoint);
      this.say(`Kept as the note of ${told.checkpoint}.`);
    } catch (error) {
      this.say(`${file.name}: ${error.message}`);
    }
  }

  // Asks anew where the checkpoint is called otherwise here. Answers {told, take}; `take` is null where it was left.
  async askImport(file, as = "") {
    const told = await this.source.read(file, { as });
    const name = make("input", { type: "text", value: told.checkpoint, spellcheck: false });
    const take = await this.askTake(file.name, told, name);
    const other = name.value.trim();
    return take && other && other !== told.checkpoint ? this.askImport(file, other) : { told, take };
  }

  askTake(from, { checkpoint, is_new: isNew, rows, differences, conflicts, trust }, name) {
    const lines = rows.flatMap(([field, text]) => [make("dt", { text: field }), make("dd", { text })]);
    const lead = isNew ? "You have no note of this checkpoint." : differences.length ? ""
      : "Your note says all of it already.";
    const called = make("label", { className: "sl-note-called" }, make("span", { text: "Checkpoint here" }), name);
    const more = [make("p", { className: "sl-quiet", text: `from ${from}` }), called, make("dl", {}, ...lines)];
    if (trust.length) more.push(make("h3", { text: "Before you trust it" }), make("ul", {},
      ...trust.map((text) => make("li", { text }))));
    if (lead) more.push(make("p", { text: lead }));
    const clashing = new Set(conflicts.map(({ field }) => field));
    return askWhich({ title: `A note of ${checkpoint}`, sides: ["Your note says", "This file says"], conflicts, more,
      added: isNew ? [] : differences.filter(({ field }) => !clashing.has(field)), yes: "Keep it" });
  }
}

function rowOf({ checkpoint, day, line, is_here: isHere, fault }, at, isChosen) {
  const tag = isHere ? [] : [make("span", { className: "sl-tag", text: "not here", title: "Not on this disk" })];
  const title = make("div", { className: "sl-note-name" }, make("b", { text: checkpoint }), ...tag,
    make("span", { className: "sl-quiet sl-note-day", text: day }));
  const told = make("div", { className: `sl-clip ${fault ? "sl-problem" : "sl-quiet"}`, title: fault || line,
    text: fault ? "cannot be read" : line });
  return make("div", { role: "option", id: `sl-note-row-${at}`, className: "sl-note-row",
    ariaSelected: String(isChosen) }, title, told);
}
