// One row of the sweep builder: what varies, its values as a person writes them, and how they were read.
// Knows nothing about other rows, or about the grammar: the page says what a text was read as.

import { make } from "./element.js";

let count = 0;

export class AxisRow {
  // `groups` is [[title, [field]]], a field being {name, title, example, is_text, help}.
  constructor(groups, { field = "", text = "" }, { onChange, onMove, onRemove }) {
    this.fields = new Map(groups.flatMap(([, fields]) => fields).map((each) => [each.name, each]));
    this.onChange = onChange;
    this.buildText(text);
    this.select = make("select", { ariaLabel: "What varies", onchange: () => this.turn() });
    this.select.append(...groups.map(([label, fields]) => make("optgroup", { label },
      ...fields.map(({ name, title }) => make("option", { value: name, text: title })))));
    this.select.value = this.fields.has(field) ? field : groups[0][1][0].name;
    const button = (sign, title, onclick) =>
      make("button", { type: "button", text: sign, title, ariaLabel: title, onclick });
    this.up = button("↑", "Move this axis up", () => onMove(this, -1));
    this.down = button("↓", "Move this axis down", () => onMove(this, 1));
    const head = make("div", { className: "sl-axis-head" }, this.select, make("span", { className: "sl-push" }),
      this.up, this.down, button("✕", "Take this axis away", () => onRemove(this)));
    this.root = make("div", { className: "sl-axis", role: "group", ariaLabel: "Axis" }, head, this.text, this.told);
    this.dress();
  }

  buildText(text) {
    this.told = make("div", { id: `sl-axis-${++count}`, className: "sl-understood" });
    this.text = make("textarea", { rows: 1, value: text, spellcheck: false, ariaLabel: "Values" });
    this.text.setAttribute("aria-describedby", this.told.id);
    this.text.oninput = () => { this.grow(); this.onChange(); };
    this.text.onkeydown = (event) => {
      if (event.key === "Enter" && !event.ctrlKey && !this.field.is_text) event.preventDefault();
    };
  }

  get field() { return this.fields.get(this.select.value); }

  value() { return { field: this.select.value, text: this.text.value }; }

  fill(field, text) {
    Object.assign(this.select, { value: field });
    Object.assign(this.text, { value: text });
    this.dress();
  }

  turn() {
    this.dress();
    this.onChange();
  }

  dress() {
    this.text.placeholder = this.field.example;
    this.text.title = this.field.help;
    this.grow();
  }

  grow() {
    const lines = this.text.value.split("\n").length, long = Math.ceil(this.text.value.length / 52);
    this.text.rows = Math.min(6, Math.max(this.field.is_text ? 2 : 1, lines, long));
  }

  // What the text was read as: {values, count, error}.
  tell({ values, count: many, error }) {
    const words = many === 1 ? `${values[0]}: one value, set for all` : `${values.join(", ")}: ${many} values`;
    this.told.textContent = error || (many ? words : "");
    this.told.title = this.told.textContent;
    this.told.classList.toggle("sl-problem", Boolean(error));
    this.text.setAttribute("aria-invalid", String(Boolean(error)));
  }
}
