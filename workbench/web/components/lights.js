// Chooses a light by its drawing, and says single fields of it otherwise. Knows nothing about routes or prompts.
// A module: `mount(element, {source, onChoose})`. `source.all()` answers {lights, fields}, `source.one(name, fields)` a
// light drawn anew. A light: {name, title, about, told, svg, values}; a field: {name, kind, meaning, choices, is_free}.

import { make } from "./element.js";

const SHOWN_FIELDS = ["direction", "hardness"];
const NOT_SAID = "none";
const DRAWN_AFTER_MS = 250;
const WORDS = { deg: "degrees", cm: "cm", m: "m", k: "K", mm: "mm" };

const imageOf = (svg) => `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;

function labelOf(field) {
  const words = field.split("_");
  const last = words.at(-1), unit = WORDS[last];
  if (unit && words.length > 1) return `${words.slice(0, -1).join(" ")}, ${unit}`;
  return words.join(" ");
}

class Lights {
  constructor(element, { source, onChoose }) {
    Object.assign(this, { source, onChoose, lights: new Map(), chosen: "", fields: {}, inputs: new Map() });
    this.build(element);
    this.load();
  }

  build(element) {
    this.what = make("span", { className: "sl-light-what" });
    this.tiles = make("div", { className: "sl-heads", role: "radiogroup", ariaLabel: "Light" });
    this.tiles.addEventListener("keydown", (event) => this.onKey(event));
    this.image = make("img", { className: "sl-set", alt: "", width: 192, height: 96 });
    this.title = make("b");
    this.told = make("span", { className: "sl-told" });
    this.about = make("p", { className: "sl-about" });
    this.fault = make("p", { className: "sl-fault", role: "alert", hidden: true });
    this.main = make("div", { className: "sl-light-main" });
    this.more = make("div", { className: "sl-light-more" });
    this.summary = make("summary");
    this.reset = make("button", { type: "button", text: "As in the template", onclick: () => this.say({}) });
    this.details = make("details", {}, this.summary, this.more);
    const words = make("div", { className: "sl-light-words" }, this.title, this.told, this.main);
    this.panel = make("div", { className: "sl-light-panel", hidden: true },
      make("div", { className: "sl-light-top" }, this.image, words), this.fault, this.about, this.details);
    const head = make("div", { className: "sl-light-head" }, make("span", { text: "Light" }), this.what);
    this.root = make("div", { className: "sidelight sl-lights" }, head, this.tiles, this.panel);
    element.replaceChildren(this.root);
  }

  async load() {
    try {
      const { lights, fields } = await this.source.all();
      this.lights = new Map(lights.map((light) => [light.name, light]));
      this.kinds = fields;
      this.buildTiles();
      this.buildFields();
      this.draw();
    } catch (error) {
      const again = make("button", { type: "button", text: "Try again", onclick: () => this.load() });
      this.tiles.replaceChildren(make("span", { className: "sl-problem", text: error.message }), again);
    }
  }

  buildTiles() {
    const tile = (name, title, ...children) => {
      const radio = make("button", { type: "button", className: "sl-head", role: "radio", title, ariaLabel: title },
        ...children);
      radio.dataset.light = name;
      radio.onclick = () => this.choose(name);
      const hover = (light) => () => { this.what.textContent = this.nameOf(light ?? this.chosen); };
      radio.onpointerenter = radio.onfocus = hover(name);
      radio.onpointerleave = radio.onblur = hover(null);
      return radio;
    };
    const none = tile("", "None: I write the prompt", make("span", { text: "none" }));
    const heads = [...this.lights.values()].map((light) =>
      tile(light.name, this.nameOf(light.name), make("img", { src: imageOf(light.svg), alt: "", draggable: false })));
    this.tiles.replaceChildren(none, ...heads);
  }

  buildFields() {
    const line = (field) => {
      const input = field.is_free ? this.textOf(field) : this.selectOf(field);
      input.ariaLabel = labelOf(field.name);
      input.title = field.meaning;
      input.onchange = () => this.sayField(field.name, input.value.trim());
      this.inputs.set(field.name, input);
      const isLong = field.kind === "text";
      return make("label", { className: isLong ? "sl-line sl-long" : "sl-line", title: field.meaning },
        make("span", { text: labelOf(field.name) }), input);
    };
    this.main.replaceChildren(...this.kinds.filter(({ name }) => SHOWN_FIELDS.includes(name)).map(line));
    const others = this.kinds.filter(({ name }) => !SHOWN_FIELDS.includes(name)).map(line);
    const hint = make("p", { className: "sl-hint", text: `Write "${NOT_SAID}" for what is not to be said.` });
    this.more.replaceChildren(hint, ...others, this.reset);
  }

  textOf(field) {
    const input = make("input", { type: "text", autocomplete: "off", spellcheck: false });
    if (!field.choices.length) return input;
    const list = make("datalist", { id: `sl-light-${field.name}` }, ...field.choices.map((value) =>
      make("option", { value })));
    this.root.append(list);
    input.setAttribute("list", list.id);
    return input;
  }

  selectOf(field) {
    return make("select", {}, make("option", { value: "" }), ...[...field.choices, NOT_SAID].map((value) =>
      make("option", { value, text: value })));
  }

  // ---- what Python says

  show({ light = "", fields = {}, fault = "" } = {}) {
    const isSame = light === this.chosen && JSON.stringify(fields) === JSON.stringify(this.fields);
    Object.assign(this, { chosen: light, fields });
    this.fault.textContent = fault;
    this.fault.hidden = !fault;
    if (!isSame || !this.isDrawn) this.draw();
  }

  nameOf(name) { return name ? this.lights.get(name)?.title || name : "None: I write the prompt"; }

  // ---- what a person does

  choose(name) {
    if (name === this.chosen) return;
    Object.assign(this, { chosen: name, fields: {} });
    this.draw();
    this.onChoose({ light: name, fields: {} });
  }

  sayField(name, text) {
    const fields = { ...this.fields };
    const own = this.lights.get(this.chosen)?.values[name] ?? "";
    if (text && text !== own) fields[name] = text;
    else delete fields[name];
    this.say(fields);
  }

  say(fields) {
    this.fields = fields;
    this.draw();
    this.onChoose({ light: this.chosen, fields });
  }

  onKey(event) {
    const tiles = [...this.tiles.children], at = tiles.indexOf(event.target.closest(".sl-head"));
    const columns = Math.max(1, Math.round(this.tiles.clientWidth / (tiles[0]?.offsetWidth + 3)));
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0,
      End: tiles.length - 1 }[event.key];
    if (at < 0 || to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const next = tiles[Math.max(0, Math.min(tiles.length - 1, to))];
    next.focus();
    this.choose(next.dataset.light);
  }

  // ---- drawing

  draw() {
    if (!this.kinds) return;
    this.isDrawn = true;
    const light = this.lights.get(this.chosen);
    for (const tile of this.tiles.children) {
      const isChosen = tile.dataset.light === (light ? this.chosen : "");
      tile.ariaChecked = String(isChosen);
      tile.tabIndex = isChosen ? 0 : -1;
    }
    this.what.textContent = this.nameOf(this.chosen);
    this.panel.hidden = !light;
    if (light) this.drawPanel(light);
  }

  drawPanel(light) {
    const changed = Object.keys(this.fields);
    this.title.textContent = light.title || light.name;
    this.about.textContent = light.about;
    this.about.hidden = !light.about;
    this.drawLight(light);
    for (const { name, is_free: isFree } of this.kinds) {
      const input = this.inputs.get(name), own = light.values[name] ?? "";
      if (isFree) input.placeholder = own || "not said";
      else input.options[0].textContent = own ? own : "not said";
      if (document.activeElement !== input || !(name in this.fields)) input.value = this.fields[name] ?? "";
      input.closest("label").classList.toggle("sl-changed", name in this.fields);
    }
    const others = changed.filter((name) => !SHOWN_FIELDS.includes(name)).length;
    this.summary.textContent = others ? `More of this light, ${others} said otherwise` : "More of this light";
    this.reset.disabled = !changed.length;
    clearTimeout(this.later);
    if (changed.length) this.later = setTimeout(() => this.drawAnew(light.name, this.fields), DRAWN_AFTER_MS);
  }

  drawLight(light) {
    this.image.src = imageOf(light.svg);
    this.image.alt = light.told;
    this.told.textContent = light.told;
  }

  async drawAnew(name, fields) {
    try {
      const light = await this.source.one(name, fields);
      if (name === this.chosen && fields === this.fields) this.drawLight(light);
    } catch {
      this.told.textContent = "cannot be so; see below"; // Python says why, with the rest of the form
    }
  }
}

export function mount(element, options) { return new Lights(element, options); }
