// The pane that says all about one model, and what can be done with it. Knows nothing about lists or about the server.
// `acts` are functions of the panel by name; a question is {text: [], buttons: [[label, act, isMain]]}.

import { make, typed } from "./element.js";
import { KINDS, endText, isRunning, progressText, shareOf, sizeOf, stateOf } from "./models_words.js";

export class Detail {
  constructor(acts) {
    this.acts = acts;
    this.root = make("section", { className: "sl-model-detail", ariaLabel: "The selected model" });
    this.drawn = "";
  }

  // Draws it anew only where more than the progress changed, so that the focus stays.
  show(row, { title = "", question = null, problem = "" } = {}) {
    const { pull, ...rest } = row;
    const now = JSON.stringify([rest, title, question, problem, pull?.state, pull?.what]);
    if (now !== this.drawn) this.draw(row, { title, question, problem });
    this.drawn = now;
    if (this.bar && isRunning(row)) this.showProgress(row.pull);
    else if (this.ended && pull) this.ended.textContent = endText(pull);
  }

  // Something else in its place, such as the form that adds.
  put(element) {
    this.drawn = "";
    this.root.replaceChildren(element);
  }

  draw(row, { title, question, problem }) {
    const act = document.activeElement?.dataset?.act;
    const hadFocus = this.root.contains(document.activeElement);
    this.bar = this.ended = null;
    const parts = [this.head(row, title), this.progress(row), question ? asked(question) : this.actions(row)];
    if (row.fault) parts.push(make("p", { className: "sl-problem", text: row.fault }));
    if (problem) parts.push(make("p", { className: "sl-problem", role: "alert", text: problem }));
    parts.push(...facts(row, question));
    this.root.replaceChildren(...parts.filter(Boolean));
    if (hadFocus) (this.root.querySelector(`[data-act="${act}"]`) ?? this.root.querySelector("button"))?.focus();
  }

  head(row, title) {
    const told = [title, KINDS[row.kind] ?? row.kind, stateOf(row), isRunning(row) ? "" : sizeOf(row)];
    return make("header", {}, make("h2", { text: row.name }),
      make("p", { className: "sl-quiet", text: told.filter(Boolean).join(" · ") }));
  }

  progress(row) {
    if (!row.pull) return null;
    if (!isRunning(row)) {
      this.ended = make("p", { className: row.pull.state === "failed" ? "sl-problem" : "sl-quiet", role: "status" });
      return this.ended;
    }
    this.fill = make("i");
    this.bar = make("div", { className: "sl-bar", role: "progressbar", ariaLabel: stateOf(row), ariaValueMin: "0",
      ariaValueMax: "100" }, this.fill);
    this.told = make("p");
    this.file = make("p", { className: "sl-quiet sl-file" });
    return make("div", { className: "sl-model-progress" }, this.bar, this.told, this.file);
  }

  showProgress(pull) {
    const share = shareOf(pull);
    this.fill.style.transform = `scaleX(${share})`;
    this.bar.ariaValueNow = String(Math.floor(share * 100));
    this.told.textContent = progressText(pull);
    const isStill = pull.of_bytes && !pull.bytes_per_second ? "waiting for bytes" : "";
    this.file.textContent = [pull.file, pull.of_bytes ? pull.note || isStill : ""].filter(Boolean).join(": ");
  }

  actions(row) {
    const buttons = actionsOf(row).map(([name, text, isMain]) =>
      button(text, () => this.acts[name](row), name, isMain));
    return buttons.length ? make("div", { className: "sl-model-actions" }, ...buttons) : null;
  }
}

// What can be done with a row now: [name, text, is the main one].
export function actionsOf(row) {
  if (isRunning(row)) return [["cancel", "Cancel", false]];
  const goesOn = { "partly here": "Go on with the download", damaged: "Fetch what is damaged again" };
  const all = {
    use: "Use in Create", download: goesOn[row.state] ?? "Download …", verify: "Verify", delete: "Delete files …",
    remove: "Take out of your list",
  };
  return row.can.map((name) => [name, all[name], name === "use" || name === "download"]);
}

function asked({ text, buttons }) {
  const lines = text.map((line) => make("p", { text: line }));
  const answers = buttons.map(([label, act, isMain]) => button(label, act, `answer ${label}`, isMain));
  return make("div", { className: "sl-model-question", role: "group", ariaLabel: "A question before it begins" },
    ...lines, make("div", { className: "sl-model-actions" }, ...answers));
}

export function button(text, onclick, act, isMain) {
  const element = make("button", { type: "button", text, onclick, className: isMain ? "sl-main" : "" });
  element.dataset.act = act;
  return element;
}

function facts(row, question) {
  const told = [];
  if (row.about.length) told.push(...section("About", ...row.about.map((text) => make("p", { text }))));
  if (!question) told.push(...section("Licence", ...licence(row))); // a question says it itself
  const defaults = row.defaults.length ? [pairs(row.defaults)] : [make("p", { className: "sl-quiet",
    text: row.kind === "checkpoint" ? "Read from the checkpoint as soon as it is here." : "It has none of its own." })];
  told.push(...section("Defaults", ...defaults));
  const places = [["source", row.source]];
  if (row.where) places.push([row.state === "missing" ? "should lie in" : "lies in", row.where]);
  if (row.page) places.push(["its page", row.page]);
  told.push(...section("Where", ...places.map(([name, text]) => copyable(name, text))));
  if (row.options.length) told.push(...section("Options in the list", pairs(row.options)));
  return told;
}

function licence(row) {
  if (row.asks.length) return row.asks.map((text) => make("p", {}, ...typed(text)));
  return [make("p", { text: row.licence || "The list names none." })];
}

function section(title, ...children) { return [make("h3", { text: title }), ...children]; }

function pairs(told) {
  const lines = told.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]);
  return make("dl", {}, ...lines);
}

// Text to take along; nothing here leads off this machine by itself.
function copyable(name, text) {
  const copy = make("button", { type: "button", text: "Copy", ariaLabel: `Copy ${name}` });
  copy.onclick = async () => {
    await navigator.clipboard.writeText(text).catch(() => { copy.textContent = "Select it"; });
    if (copy.textContent === "Copy") copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  };
  return make("div", { className: "sl-model-place" }, make("span", { className: "sl-quiet", text: name }), copy,
    make("code", { text }));
}
