// Fields of a note that are changed in place: saved when they are left or with Ctrl Enter, as they were with Escape.
// Knows nothing about routes: `save(name, text)` answers a promise, whose error stays under the field.

import { make } from "./element.js";

let count = 0;

// What all fields share: the text that is saved, the one that stands there, and what is wrong with it.
class Field {
  constructor({ name, title, hint = "", save }) {
    Object.assign(this, { name, save, saved: "" });
    const id = `sl-note-problem-${++count}`;
    this.problem = make("p", { className: "sl-problem", role: "alert", id, hidden: true });
    this.title = make("h3", { text: title });
    this.hint = make("small", { text: hint, className: "sl-quiet" });
    this.body = make("div", { className: "sl-note-body" });
    const head = make("header", {}, this.title, this.hint);
    this.root = make("section", { className: "sl-note-field", ariaLabel: title }, head, this.body, this.problem);
    this.root.addEventListener("focusout", ({ relatedTarget }) => {
      if (!this.root.contains(relatedTarget)) this.leave();
    });
    this.root.addEventListener("keydown", (event) => this.press(event));
  }

  get isDirty() { return this.text !== this.saved; }

  // What the server has now; what somebody is still typing stays.
  tell(text) {
    const isTyping = this.isDirty && this.root.contains(document.activeElement);
    const wasSame = this.saved === text;
    this.saved = text;
    if (isTyping || (wasSame && !this.isDirty)) return;
    this.fill(text);
    this.refuse("");
  }

  press(event) {
    if (event.key === "Escape" && this.isDirty) {
      this.fill(this.saved);
      this.refuse("");
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.target.tagName === "INPUT")) {
      event.preventDefault();
      this.leave();
    } else return;
    event.stopPropagation();
  }

  async leave() {
    if (!this.isDirty || this.isSaving) return;
    this.isSaving = true;
    try {
      await this.save(this.name, this.text);
      this.refuse("");
    } catch (error) {
      this.refuse(`Not saved: ${error.message}`);
    } finally {
      this.isSaving = false;
    }
  }

  refuse(text) {
    Object.assign(this.problem, { textContent: text, hidden: !text });
    for (const input of this.body.querySelectorAll("input, textarea")) {
      input.setAttribute("aria-invalid", String(Boolean(text)));
      input.setAttribute("aria-describedby", this.problem.id);
    }
  }
}

function box(label, { width = "", ...more } = {}) {
  const input = make("input", { type: "text", spellcheck: false, autocomplete: "off", ariaLabel: label, ...more });
  if (width) input.style.width = width;
  return input;
}

// Several lines of text, as high as they are.
export class TextField extends Field {
  constructor({ placeholder = "", rows = 1, ...rest }) {
    super(rest);
    this.area = make("textarea", { rows, placeholder, spellcheck: false, ariaLabel: rest.title });
    this.least = rows;
    this.area.oninput = () => this.grow();
    this.body.append(this.area);
  }

  get text() { return this.area.value; }

  fill(text) {
    this.area.value = text;
    this.grow();
  }

  grow() { this.area.rows = Math.min(12, Math.max(this.least, this.area.value.split("\n").length)); }
}

// Two numbers, LOW..HIGH; an empty one is an end that was not reached. `draw` gives what stands below them.
export class WindowField extends Field {
  constructor(rest) {
    super(rest);
    const number = (label) => box(label, { width: "64px", inputMode: "decimal", placeholder: "open" });
    [this.low, this.high] = [number("Guidance from"), number("Guidance to")];
    this.scale = make("div");
    this.body.append(make("div", { className: "sl-note-line" }, this.low, "to", this.high), this.scale);
  }

  get text() {
    const low = this.low.value.trim(), high = this.high.value.trim();
    return low || high ? `${low}..${high}` : "";
  }

  fill(text) { [this.low.value, this.high.value] = text ? text.split("..") : ["", ""]; }
}

export class NumberField extends Field {
  constructor(rest) {
    super(rest);
    this.number = box(rest.title, { width: "64px", inputMode: "numeric", placeholder: "open" });
    this.scale = make("div");
    this.body.append(make("div", { className: "sl-note-line" }, this.number, "steps are enough"), this.scale);
  }

  get text() { return this.number.value.trim(); }

  fill(text) { this.number.value = text; }
}

// Settings that belong together, a row each; the first is what one starts from.
export class PairsField extends Field {
  constructor(rest) {
    super(rest);
    this.rows = make("div", { className: "sl-note-pairs" });
    const add = make("button", { type: "button", text: "Add settings", onclick: () => this.append().steps.focus() });
    this.body.append(this.rows, add);
    this.inputs = [];
  }

  get text() {
    return this.inputs.map(({ steps, guidance, scheduler }) => [
      steps.value.trim() && `${steps.value.trim()} steps`,
      guidance.value.trim() && `guidance ${guidance.value.trim()}`, scheduler.value.trim(),
    ].filter(Boolean).join(", ")).filter(Boolean).join("\n");
  }

  fill(text) {
    this.inputs = [];
    this.rows.replaceChildren();
    for (const line of text ? text.split("\n") : [""]) this.append(line);
  }

  append(line = "") {
    const parts = line.split(", "), left = [];
    const said = { steps: "", guidance: "" };
    for (const part of parts) {
      const [, steps] = part.match(/^(.+) steps$/) ?? [], [, guidance] = part.match(/^guidance (.+)$/) ?? [];
      if (steps) said.steps = steps;
      else if (guidance) said.guidance = guidance;
      else left.push(part);
    }
    const row = {
      steps: box("Steps", { value: said.steps, inputMode: "numeric", placeholder: "its own" }),
      guidance: box("Guidance", { value: said.guidance, inputMode: "decimal", placeholder: "its own" }),
      scheduler: box("Scheduler", { value: left.join(", "), placeholder: "as the checkpoint likes it" }),
    };
    this.inputs.push(row);
    const away = make("button", { type: "button", text: "✕", title: "Take these settings away",
      ariaLabel: "Take these settings away" });
    const labelled = (text, input) => make("label", {}, make("span", { text }), input);
    const root = make("div", { className: "sl-note-pair", role: "group",
      ariaLabel: this.inputs.length === 1 ? "Start from" : "Or" },
      labelled("Steps", row.steps), labelled("Guidance", row.guidance), labelled("Scheduler", row.scheduler), away);
    away.onclick = () => {
      this.inputs = this.inputs.filter((each) => each !== row);
      root.remove();
      if (!this.inputs.length) this.append();
      this.leave();
    };
    this.rows.append(root);
    return row;
  }
}
