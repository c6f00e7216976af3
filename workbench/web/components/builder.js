// The form in which a sweep is put together: name, axes, conditions, numerics. Knows nothing about the grammar of
// values, routes or what a sweep costs; the page hears of every change and tells how it was read.

import { AxisRow } from "./axis_row.js";
import { make } from "./element.js";

const MOST_ROWS = 5;
const EMPTY = {
  name: "", rows: [{ field: "guidance", text: "" }, { field: "steps", text: "" }], zip: "", where: "", skip: "",
  is_exact: false, lanes: "", base: null, base_name: "",
};
const CHIPS = [
  ["Guidance 2–9", () => ["guidance", "2..9:1"]],
  ["Steps 10–40", () => ["steps", "10..40:5"]],
  ["4 seeds", ({ seed }) => ["seed", `${seed}..${BigInt(seed) + 3n}:1`]],
  ["Schedulers", ({ schedulers }) => ["scheduler", schedulers.join(", ")]],
];

export class Builder {
  // `groups` as in AxisRow; onChange(), and onCreate() to change what does not vary.
  constructor({ groups, onChange, onCreate }) {
    Object.assign(this, { groups, onChange, rows: [], base: null, base_name: "", told: null });
    this.buildFields();
    this.buildAxes();
    this.buildBase(onCreate);
    this.root = make("div", { className: "sl-builder" },
      labelled("Name", this.name),
      section("What varies", this.list, this.chips, this.add),
      section("All else, for every picture", this.baseLine, this.baseButtons),
      fold("Conditions and pairs",
        labelled("Walk together", this.zip, "Axes of equal length, as one axis"),
        labelled("Keep where", this.where, "Only cells for which this holds"),
        labelled("Leave out where", this.skip, "No cells for which this holds")),
      fold("Numerics",
        make("label", { className: "sl-exact" }, this.exact, "Exact: one by one, bit-equal to the stock pipeline"),
        labelled("Pictures side by side", this.lanes)));
    this.fill(EMPTY);
  }

  buildFields() {
    const field = (placeholder, more = {}) =>
      make("input", { type: "text", spellcheck: false, oninput: this.onChange, placeholder, ...more });
    this.name = field("named after what varies");
    this.zip = field("width, height");
    this.where = field("guidance <= 4 or steps >= 20");
    this.skip = field("seed == 8 and steps == 30");
    this.lanes = field("as this machine can", { inputMode: "numeric" });
    this.exact = make("input", { type: "checkbox", onchange: () => { this.dress(); this.onChange(); } });
  }

  buildAxes() {
    this.list = make("div", { className: "sl-axes" });
    this.add = make("button", { type: "button", text: "Add an axis", onclick: () => this.append() });
    this.chips = make("div", { className: "sl-chips" }, ...CHIPS.map(([text, made]) =>
      make("button", { type: "button", text, onclick: () => this.take(...made(this.known())) })));
  }

  buildBase(onCreate) {
    this.baseLine = make("div", { className: "sl-base" });
    this.create = make("button", { type: "button", text: "Change in Create", onclick: onCreate });
    this.own = make("button", { type: "button", text: "Use Create instead", hidden: true });
    this.own.onclick = () => this.useCreate();
    this.baseButtons = make("div", { className: "sl-row-of" }, this.create, this.own);
  }

  value() {
    return {
      name: this.name.value, rows: this.rows.map((row) => row.value()), zip: this.zip.value, where: this.where.value,
      skip: this.skip.value, is_exact: this.exact.checked, lanes: this.lanes.value, base: this.base,
      base_name: this.base_name,
    };
  }

  // Gives up the base that a file brought.
  useCreate() {
    Object.assign(this, { base: null, base_name: "" });
    this.onChange();
  }

  fill(built) {
    const { name, rows, zip, where, skip, is_exact, lanes, base, base_name } = { ...EMPTY, ...built };
    for (const [field, value] of [["name", name], ["zip", zip], ["where", where], ["skip", skip], ["lanes", lanes]]) {
      this[field].value = value;
    }
    this.exact.checked = is_exact;
    Object.assign(this, { base, base_name, rows: rows.map((row) => this.row(row)) });
    const isSaid = (input) => (input.type === "checkbox" ? input.checked : Boolean(input.value));
    for (const each of this.root.querySelectorAll("details")) {
      each.open = [...each.querySelectorAll("input")].some(isSaid);
    }
    this.dress();
  }

  // How it was read: {rows, base, base_name, name, schedulers}.
  tell(told) {
    this.told = told;
    told.rows.forEach((each, at) => this.rows[at]?.tell(each));
    const seen = told.base.map(([name, text]) => {
      const words = text.startsWith(`${name} `) ? [] : [make("i", { text: `${name} ` })];
      return make("span", { title: `${name}: ${text}` }, ...words, text);
    });
    this.baseLine.replaceChildren(...seen);
    this.own.hidden = !told.base_name;
    this.create.hidden = Boolean(told.base_name);
    if (told.base_name) this.baseLine.prepend(make("b", { text: `From ${told.base_name}` }));
    this.name.placeholder = told.name;
    this.chips.lastChild.disabled = !told.schedulers.length;
  }

  // ---- rows

  row(said) {
    return new AxisRow(this.groups, said, {
      onChange: this.onChange,
      onMove: (row, by) => this.move(row, by),
      onRemove: (row) => this.remove(row),
    });
  }

  append(said = { field: this.free() }) {
    if (this.rows.length >= MOST_ROWS) return;
    this.rows.push(this.row(said));
    this.dress();
    this.rows.at(-1).text.focus();
    this.onChange();
  }

  // The first field that no row has yet.
  free() {
    const taken = new Set(this.rows.map((row) => row.value().field));
    return this.groups.flatMap(([, fields]) => fields).find(({ name }) => !taken.has(name)).name;
  }

  // A quick axis: into its own row, else an empty one, else a new one.
  take(field, text) {
    const own = this.rows.find((row) => row.value().field === field);
    const row = own ?? this.rows.find((each) => !each.value().text.trim());
    if (!row) return this.append({ field, text });
    row.fill(field, text);
    this.onChange();
  }

  move(row, by) {
    const at = this.rows.indexOf(row), to = at + by;
    if (to < 0 || to >= this.rows.length) return;
    [this.rows[at], this.rows[to]] = [this.rows[to], this.rows[at]];
    this.dress();
    (by < 0 ? row.up : row.down).focus();
    this.onChange();
  }

  remove(row) {
    this.rows = this.rows.filter((each) => each !== row);
    this.dress();
    this.add.focus();
    this.onChange();
  }

  dress() {
    this.list.replaceChildren(...this.rows.map(({ root }) => root));
    this.rows.forEach((row, at) => {
      row.up.disabled = at === 0;
      row.down.disabled = at === this.rows.length - 1;
      row.root.ariaLabel = `Axis ${at + 1}`;
    });
    this.add.disabled = this.rows.length >= MOST_ROWS;
    this.lanes.disabled = this.exact.checked;
  }

  known() {
    const seed = this.told?.base.find(([name]) => name === "seed")?.[1] ?? "";
    return { seed: /^\d+$/.test(seed) ? seed : "1", schedulers: this.told?.schedulers ?? [] };
  }
}

function labelled(text, input, hint = "") {
  const label = make("label", { className: "sl-labelled" }, make("span", { text }), input);
  if (hint) label.append(make("small", { text: hint }));
  return label;
}

function section(text, ...parts) {
  return make("section", {}, make("h3", { text }), ...parts);
}

function fold(text, ...parts) {
  return make("details", {}, make("summary", { text }), ...parts);
}
