// Two to four pictures compared: side by side, by a slider, in flicker, by their difference; one zoom, one place.
// Knows nothing about grids, runs or routes. A module; the page calls `SidelightViewer.mount(element, options)` and
// `show(list)` on what it answers. A picture: {url, name, values: [[label, text]], state, reason, mark, spots}.
// A spot is a named rectangle [x, y, width, height] as shares of a picture; a picture's own go before the common ones.

import { LETTERS } from "./cell.js";
import { differenceOf } from "./difference.js";
import { choice, make, press } from "./element.js";
import { SPOTS, onKey, watchPointer } from "./gestures.js";
import { VIEWER_KEYS, keysHelp } from "./keys_help.js";
import { Pane, words } from "./pane.js";
import { valuesTable } from "./values.js";
import { FIT, cornerOf, devicePx, inside, layOutPanes, nextZoom, panned, scaleOf, viewOf, zoomed } from "./viewport.js";

const MODES = [
  ["Side by side", "side", "s"], ["Slider", "slider", "w"], ["Flicker", "flicker", "v"],
  ["Difference", "difference", "d"],
];
const ZOOMS = [["Fit", 0, "1"], ["100", 1, "2"], ["200", 2, "3"], ["400 %", 4, "4"]];
const SURROUNDS = [["dark", "dark", "#1a1a1a"], ["mid", "mid", "#777777"], ["light", "light", "#c8c8c8"]];
const GAINS = [1, 2, 4, 8, 16];
const DEFAULTS = {
  spots: {},
  onWalk() {}, // ({pane, columns, rows}) an arrow key; the page answers by show()
  onSpot() {}, // (name, rectangle, picture) a spot was drawn
  onSwap() {}, // (pictures) A and B changed places
};

class Viewer {
  constructor(element, options) {
    this.options = { ...DEFAULTS, ...options };
    this.spots = { ...this.options.spots };
    this.pictures = []; // {spec, image, size, offset, isDamaged}
    this.panes = [];
    Object.assign(this, { view: FIT, mode: "side", against: 1, split: 0.5, gain: 4, active: 0, frame: [1, 1] });
    this.build(element);
    this.setSurround("dark");
    this.rebuild();
    this.watch();
  }

  // ---- once

  build(element) {
    const titled = (list) => list.map(([text, value, key]) => [text, value, `${text} (${key})`]);
    this.modes = choice("Mode", titled(MODES), (mode) => this.setMode(mode));
    this.zooms = choice("Zoom", titled(ZOOMS), (zoom) => this.zoomTo(zoom));
    this.places = choice("Go to", titled(SPOTS), (name) => this.goTo(name));
    this.others = make("span", { className: "sl-choice" });
    this.gains = choice("Amplified", GAINS.map((gain) => [`×${gain}`, gain]), (gain) => this.setGain(gain));
    this.surrounds = this.buildSurrounds();
    this.swapButton = make("button", { type: "button", text: "Swap", title: "Swap A and B (x)" });
    this.swapButton.onclick = () => this.swap();
    const help = make("button", { type: "button", text: "?", title: "All keys", ariaLabel: "All keys" });
    help.onclick = () => this.help.showModal();
    const tools = make("div", { className: "sl-tools", role: "toolbar", ariaLabel: "Compare" },
      this.modes, this.zooms, this.places, this.others, this.gains, make("span", { className: "sl-push" }), help);
    this.nothing = make("div", { className: "sl-nothing" }, make("b", { text: "Nothing to compare yet" }),
      make("span", { text: "Select two to four cells in the grid; they appear here as A, B, C and D." }));
    this.stage = make("div", { className: "sl-stage" });
    this.values = make("section", { className: "sl-values", ariaLabel: "What differs" });
    this.handle = make("div", { className: "sl-split", role: "slider", tabIndex: 0, ariaLabel: "Where B begins",
      ariaValueMin: "0", ariaValueMax: "100" });
    this.drawn = make("div", { className: "sl-drawn" });
    this.help = keysHelp(VIEWER_KEYS);
    this.told = make("span");
    this.equal = make("button", { type: "button", onclick: () => this.toggleEqual() });
    const below = make("header", { className: "sl-below" }, this.told, this.equal,
      make("span", { className: "sl-push" }), this.surrounds, this.swapButton);
    this.root = make("div", { className: "sidelight sl-viewer" }, tools, this.stage, below, this.values, this.help);
    element.replaceChildren(this.root);
  }

  buildSurrounds() {
    const names = SURROUNDS.map(([text, value]) => ["", value, `Surround ${text} (b)`]);
    const swatches = choice("Surround", names, (value) => this.setSurround(value));
    SURROUNDS.forEach(([text, , grey], at) => {
      swatches.children[at].ariaLabel = `Surround ${text}`;
      swatches.children[at].style.setProperty("--sl-swatch", grey);
    });
    swatches.classList.add("sl-swatches");
    return swatches;
  }

  watch() {
    this.root.addEventListener("keydown", (event) => onKey(this, event));
    this.released = (event) => { if (event.type === "blur" || event.key === " ") this.flicker(false); };
    window.addEventListener("keyup", this.released);
    window.addEventListener("blur", this.released);
    watchPointer(this);
    this.stage.addEventListener("focusin", (event) => {
      const at = this.panes.findIndex((pane) => pane.root.contains(event.target));
      if (at >= 0) this.active = at;
    });
    this.resized = new ResizeObserver(() => this.layOut());
    this.resized.observe(this.stage);
  }

  destroy() {
    this.resized.disconnect();
    window.removeEventListener("keyup", this.released);
    window.removeEventListener("blur", this.released);
    this.root.remove();
  }

  // ---- pictures

  show(list) {
    const before = this.pictures.length;
    this.pictures = list.slice(0, LETTERS.length).map((spec, at) =>
      Object.assign(this.pictures[at] ?? { image: null, size: null, offset: [0, 0], isDamaged: false }, { spec }));
    if (this.against >= this.pictures.length) this.against = 1;
    if (this.pictures.length !== before) this.rebuild();
    for (const picture of this.pictures) this.load(picture);
    this.drawValues();
  }

  // The picture of before stays until the next one is decoded, so that walking along an axis is a change in place.
  async load(picture) {
    const { url } = picture.spec;
    picture.isDamaged = false;
    if (picture.image?.dataset.url === url || !url) return this.refresh();
    const image = new Image();
    image.dataset.url = url;
    image.src = url;
    const isWhole = await image.decode().then(() => true, () => false);
    if (picture.spec.url !== url || !this.pictures.includes(picture)) return undefined; // another was asked for since
    picture.isDamaged = !isWhole;
    if (isWhole) Object.assign(picture, { image, size: [image.naturalWidth, image.naturalHeight] });
    return this.refresh();
  }

  refresh() {
    for (const pane of this.panes) {
      this.pictures.forEach((picture, at) => pane.fill(at, picture.image, this.wordsFor(picture)));
    }
    this.fillDifference();
    this.layOut();
  }

  wordsFor({ spec, isDamaged }) {
    if (spec.url && !isDamaged) return null;
    if (isDamaged) return words("picture cannot be read", spec.url);
    return words(spec.state ?? "no picture", spec.reason ?? "");
  }

  isReady(at) {
    const { spec, image, isDamaged } = this.pictures[at] ?? {};
    return Boolean(spec?.url && image && !isDamaged);
  }

  reference() { return this.pictures.find((_, at) => this.isReady(at)); }

  isOne() { return this.mode !== "side" && this.pictures.length > 1; }

  rebuild() {
    const count = this.isOne() ? 1 : this.pictures.length;
    const hadFocus = this.stage.contains(document.activeElement);
    this.panes = Array.from({ length: count }, () => new Pane(this.pictures.length + 1)); // the last: the difference
    this.stage.replaceChildren(...(count ? this.panes.map((pane) => pane.root) : [this.nothing]));
    if (this.mode === "slider" && this.isOne()) this.panes[0].frame.append(this.handle);
    this.active = Math.min(this.active, Math.max(0, count - 1));
    this.drawOthers();
    this.refresh();
    if (hadFocus) this.panes[this.active]?.frame.focus({ preventScroll: true });
  }

  fillDifference() {
    this.difference = null;
    if (this.mode !== "difference" || !this.isOne()) return;
    const pair = [0, this.against], at = this.pictures.length;
    if (!pair.every((each) => this.isReady(each))) {
      const reason = `A and ${LETTERS[this.against]} must both have a picture.`;
      this.panes[0].fill(at, null, words("no difference yet", reason));
      return;
    }
    this.difference = differenceOf(...pair.map((each) => this.pictures[each].image), this.gain);
    this.panes[0].fill(at, this.difference.canvas);
  }

  // ---- where everything lies

  layOut() {
    const { size } = this.reference() ?? { size: [1, 1] };
    if (this.panes.length) {
      const box = this.stage.getBoundingClientRect();
      const layout = layOutPanes(box, size, { count: this.panes.length, gapPx: 3, barPx: 26 });
      this.frame = [devicePx(layout.width), devicePx(layout.height - layout.bar)];
      this.view = inside(this.view, size, this.frame);
      this.panes.forEach((pane, at) => { pane.move(layout.place(at), layout); this.drawPane(pane, at); });
    }
    this.drawTools();
  }

  // In one pane all pictures fill the first one's outline; side by side each has its own pixels.
  scaleFor(at) {
    const { size } = this.pictures[at], first = this.reference().size;
    if (!this.isOne()) return scaleOf(this.view, size, this.frame);
    return (scaleOf(this.view, first, this.frame) * first[0]) / size[0];
  }

  viewFor(at) {
    const { offset, size } = this.pictures[at];
    if (!this.view.zoom || this.isOne()) return this.view;
    return inside({ ...this.view, x: this.view.x + offset[0], y: this.view.y + offset[1] }, size, this.frame);
  }

  drawPane(pane, at) {
    const count = this.pictures.length, isSwapped = this.isFlickering;
    const other = isSwapped ? this.against : 0, isSlider = this.isOne() && this.mode === "slider";
    let shown = this.isOne() ? other : (at + (isSwapped ? 1 : 0)) % count;
    if (this.isOne() && this.mode === "difference") shown = isSwapped ? 0 : count;
    const split = Math.round(this.split * this.frame[0]);
    pane.show(shown, isSlider && !isSwapped ? this.against : -1, split);
    this.pictures.forEach((picture, i) => {
      if (picture.size) pane.place(i, this.viewFor(i), picture.size, this.frame, this.scaleFor(i));
    });
    if (this.difference) pane.place(count, this.viewFor(0), this.pictures[0].size, this.frame, this.scaleFor(0));
    pane.drawMap(at === 0 && this.isReady(0) && this.view.zoom ? this.pictures[0] : null, this.view, this.frame);
    this.handle.style.left = `${split / devicePixelRatio}px`;
    this.handle.ariaValueNow = String(Math.round(this.split * 100));
    this.handle.hidden = isSwapped;
    this.labelPane(pane, shown, isSlider && !isSwapped);
  }

  labelPane(pane, shown, isSlider) {
    const [first, other] = [this.pictures[0], this.pictures[this.against]].map((each) => each?.spec);
    const letter = LETTERS[this.against], percent = (at) => `${Math.round(this.scaleFor(at) * 100)} %`;
    const isPicture = shown < this.pictures.length, at = isPicture ? shown : 0;
    const scale = this.isReady(at) ? percent(at) : "";
    if (isSlider) return pane.label(`A | ${letter}`, { name: `${first.name}  |  ${other.name}` }, scale);
    if (isPicture) return pane.label(LETTERS[shown], this.pictures[shown].spec, scale);
    if (!this.difference) return pane.label(`A − ${letter}`, {}, "");
    const { most, mean, share } = this.difference;
    const told = `largest ${most} of 255, mean ${mean.toFixed(2)}, ${(100 * share).toFixed(1)} % of pixels`;
    return pane.label(`A − ${letter}`, { name: most ? told : "not one pixel differs" }, scale);
  }

  drawTools() {
    press(this.modes, this.mode);
    press(this.zooms, this.view.zoom);
    press(this.gains, this.gain);
    press(this.others, this.against);
    this.gains.hidden = this.mode !== "difference";
    this.others.hidden = !this.isOne() || this.pictures.length < 3;
    this.swapButton.disabled = this.pictures.length < 2;
    for (const button of this.modes.children) button.disabled = this.pictures.length < 2 && button.value !== "side";
    for (const button of this.places.children) {
      button.disabled = !this.pictures.some((picture) => this.spotOf(picture, button.value));
      const unknown = `No ${button.value} known: Shift-drag over it to set it`;
      button.title = button.disabled ? unknown : `Go to the ${button.value} in every picture`;
    }
    this.root.classList.toggle("sl-pans", this.view.zoom > 0);
  }

  drawOthers() {
    const values = LETTERS.slice(1, this.pictures.length).map((letter, i) => [`A, ${letter}`, i + 1]);
    const fresh = choice("Compared with A", values, (at) => { this.against = Number(at); this.refresh(); });
    this.others.replaceWith(fresh);
    this.others = fresh;
  }

  drawValues() {
    const columns = this.pictures.map(({ spec }, at) => [LETTERS[at], spec.values ?? []]);
    const { table, shown, equal } = valuesTable(columns, this.isAll);
    this.values.replaceChildren(...(shown ? [table] : []));
    this.values.hidden = !shown;
    const title = this.pictures.length > 1 ? "What differs" : "Settings";
    this.told.textContent = shown || !equal ? title : "No setting differs";
    this.told.hidden = !this.pictures.length;
    this.equal.textContent = this.isAll ? "Hide equal" : `Show ${equal} equal`;
    this.equal.ariaPressed = String(Boolean(this.isAll));
    this.equal.hidden = !equal;
  }

  // ---- what a person does

  setMode(mode) {
    if (this.pictures.length < 2 || mode === this.mode) return;
    this.mode = mode;
    this.rebuild();
  }

  setGain(gain) {
    this.gain = Number(gain);
    this.refresh();
  }

  nextGain() { this.setGain(GAINS[(GAINS.indexOf(this.gain) + 1) % GAINS.length]); }

  setSplit(share) {
    this.split = share;
    this.layOut();
  }

  setSurround(value) {
    this.surround = value;
    this.root.style.setProperty("--sl-surround", SURROUNDS.find(([, each]) => each === value)[2]);
    this.root.classList.toggle("sl-light", value !== "dark");
    press(this.surrounds, value);
  }

  nextSurround() {
    const at = SURROUNDS.findIndex(([, value]) => value === this.surround);
    this.setSurround(SURROUNDS[(at + 1) % SURROUNDS.length][1]);
  }

  toggleEqual() {
    this.isAll = !this.isAll;
    this.drawValues();
  }

  swap() {
    if (this.pictures.length < 2) return;
    const [first, second, ...rest] = this.pictures;
    this.pictures = [second, first, ...rest];
    this.refresh();
    this.drawValues();
    this.options.onSwap(this.pictures.map(({ spec }) => spec));
  }

  flicker(isOn) {
    if (Boolean(this.isFlickering) === isOn || this.pictures.length < 2) return;
    this.isFlickering = isOn;
    this.layOut();
  }

  setView(view) {
    if (!view.zoom) for (const picture of this.pictures) picture.offset = [0, 0];
    this.view = view;
    this.layOut();
  }

  zoomTo(zoom, event = null) {
    const size = this.reference()?.size;
    if (size) this.setView(zoomed(this.view, Number(zoom), size, this.frame, event ? this.aimOf(event) : [0, 0]));
  }

  stepZoom(by, event = null) {
    const size = this.reference()?.size;
    if (size) this.zoomTo(nextZoom(this.view, by, size, this.frame), event);
  }

  // The pointer as device pixels from the middle of the pane under it.
  aimOf(event) {
    const box = event.target.closest(".sl-frame")?.getBoundingClientRect();
    if (!box) return [0, 0];
    const at = [devicePx(event.clientX - box.left), devicePx(event.clientY - box.top)];
    return at.map((px, i) => px - this.frame[i] / 2);
  }

  pan(dx, dy) {
    const size = this.reference()?.size;
    if (size && this.view.zoom) this.setView(panned(this.view, [devicePx(dx), devicePx(dy)], size, this.frame));
  }

  spotOf(picture, name) { return picture.spec.spots?.[name] ?? this.spots[name]; }

  // A point of a pane (CSS pixels) as shares of the picture in it.
  shareAt(at, point) {
    const { size } = this.pictures[at], scale = this.scaleFor(at);
    const corner = cornerOf(this.viewFor(at), size, this.frame, scale);
    return point.map((px, i) => (px * devicePixelRatio - corner[i]) / (scale * size[i]));
  }

  setSpot(name, rectangle, picture) {
    if (picture.spec.spots) picture.spec = { ...picture.spec, spots: { ...picture.spec.spots, [name]: rectangle } };
    else this.spots[name] = rectangle;
    this.drawTools();
    this.options.onSpot(name, rectangle, picture.spec);
  }

  // Every picture goes to its own place of that name; the first one's decides the zoom.
  goTo(name) {
    const known = this.pictures.filter((picture) => picture.size && this.spotOf(picture, name));
    if (!known.length) return;
    const middle = ([x, y, width, height]) => [x + width / 2, y + height / 2];
    const rectangle = this.spotOf(known[0], name), from = middle(rectangle);
    for (const picture of this.pictures) {
      const to = middle(this.spotOf(picture, name) ?? rectangle);
      picture.offset = [to[0] - from[0], to[1] - from[1]];
    }
    this.setView(viewOf(rectangle, known[0].size, this.frame));
  }
}

window.SidelightViewer = {
  mount(element, options) {
    const viewer = new Viewer(element, options);
    return {
      show: (list) => viewer.show(list),
      focus: (pane = 0) => viewer.panes[pane]?.frame.focus(),
      destroy: () => viewer.destroy(),
    };
  },
};
