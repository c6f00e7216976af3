// Two to four pictures compared: side by side, by a slider, in flicker, by their difference; one zoom, one place.
// Knows nothing about grids, runs or routes. A module; the page calls `SidelightViewer.mount(element, options)` and
// `show(list)` on what it answers. A picture: {url, name, values: [[label, text]], state, reason, mark, spots}.
// A spot is a named rectangle [x, y, width, height] as shares of a picture; a picture's own go before the common ones.

import { LETTERS } from "./cell.js";
import { differenceOf } from "./difference.js";
import { make } from "./element.js";
import { onKey, watchPointer } from "./gestures.js";
import { VIEWER_KEYS, keysHelp } from "./keys_help.js";
import { labelOf, wordsFor } from "./labels.js";
import { Pane, words } from "./pane.js";
import { valuesTable } from "./values.js";
import { GAINS, MODES, SURROUNDS, Tools } from "./viewer_tools.js";
import {
  FIT, cornerOf, devicePx, halves, inside, layOutPanes, nextZoom, panned, scaleOf, viewOf, zoomed,
} from "./viewport.js";

const KEPT = ["view", "mode", "against", "split", "gain", "active", "surround", "isAll"];
const DEFAULTS = {
  spots: {},
  keys: VIEWER_KEYS, // what the list of all keys says
  between: null, // an element between the panes and the list of settings
  beside: null, // one beside that list
  disclosures: [], // {button, panel}: what else can be opened there
  onWalk() {}, // ({pane, columns, rows}) an arrow key, `pane` being the picture it is for; the page answers by show()
  onSpot() {}, // (name, rectangle, picture) a spot was drawn
  onSwap() {}, // (pictures) A and B changed places
  onActive() {}, // () a pane got the focus
  onChange() {}, // () zoom, place, mode or the like is another now
};

class Viewer {
  constructor(element, options) {
    this.options = { ...DEFAULTS, ...options };
    this.spots = { ...this.options.spots };
    this.pictures = []; // {spec, image, size, offset, isDamaged}
    this.panes = [];
    Object.assign(this, { view: FIT, mode: "side", against: 1, split: 0.5, gain: 4, active: 0, frame: [1, 1] });
    Object.assign(this, { surround: "dark", isAll: false });
    this.build(element);
    this.setSurround("dark");
    this.rebuild();
    this.drawValues();
    this.watch();
  }

  // ---- once

  build(element) {
    this.tools = new Tools(this);
    this.nothing = make("div", { className: "sl-nothing" }, make("b", { text: "No picture is chosen" }),
      make("span", { text: "Select two to four cells in the grid; they appear here as A, B, C and D." }));
    this.stage = make("div", { className: "sl-stage" });
    this.values = make("div", { className: "sl-values" });
    this.handle = make("div", { className: "sl-split", role: "slider", tabIndex: 0, ariaLabel: "Where B begins",
      ariaValueMin: "0", ariaValueMax: "100" });
    this.drawn = make("div", { className: "sl-drawn" });
    this.help = keysHelp(this.options.keys);
    this.told = make("span");
    this.equal = make("button", { type: "button", onclick: () => this.toggleEqual() });
    const { between, beside, disclosures } = this.options;
    const below = make("header", { className: "sl-below" }, this.told, this.equal,
      ...disclosures.map(({ button }) => button), make("span", { className: "sl-push" }), this.tools.surrounds,
      this.tools.swap);
    const lists = make("div", { className: "sl-lists" }, ...disclosures.map(({ panel }) => panel), this.values);
    const list = make("section", { className: "sl-list", ariaLabel: "What differs" }, below, lists);
    const foot = make("div", { className: "sl-foot" }, list, ...(beside ? [beside] : []));
    const parts = [this.tools.bar, this.stage, ...(between ? [between] : []), foot, this.help];
    this.root = make("div", { className: "sidelight sl-viewer" }, ...parts);
    element.replaceChildren(this.root);
  }

  watch() {
    this.root.addEventListener("keydown", (event) => onKey(this, event));
    this.released = (event) => { if (event.type === "blur" || event.key === " ") this.flicker(false); };
    window.addEventListener("keyup", this.released);
    window.addEventListener("blur", this.released);
    watchPointer(this);
    this.stage.addEventListener("focusin", (event) => {
      const at = this.panes.findIndex((pane) => pane.root.contains(event.target));
      if (at < 0) return;
      if (!this.isOne()) this.setActive(at);
      this.options.onActive();
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
    if (this.active >= this.pictures.length) this.setActive(0);
    if (this.pictures.length !== before) this.rebuild();
    this.drawValues();
    return Promise.all(this.pictures.map((picture) => this.load(picture)));
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
      this.pictures.forEach((picture, at) => pane.fill(at, picture.image, wordsFor(picture)));
    }
    this.fillDifference();
    this.layOut();
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
    this.tools.drawOthers();
    this.refresh();
    if (hadFocus) this.focus();
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
    const size = this.reference()?.size;
    if (this.panes.length && this.stage.clientWidth) {
      const box = this.stage.getBoundingClientRect();
      const layout = layOutPanes(box, size ?? [1, 1], { count: this.panes.length, gapPx: 3, barPx: 26 });
      this.frame = [devicePx(layout.width), devicePx(layout.height - layout.bar)];
      if (size) this.view = inside(this.view, size, this.frame); // before, a view that came back waits for its picture
      this.panes.forEach((pane, at) => { pane.move(layout.place(at), layout); this.drawPane(pane, at); });
    }
    this.tools.draw();
    this.root.classList.toggle("sl-pans", this.view.zoom > 0);
    this.options.onChange();
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
    pane.root.classList.toggle("sl-active", this.isOne() || at === this.active);
    pane.label(...labelOf(this, shown, isSlider && !isSwapped));
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

  // The same mode again is the way back to side by side.
  setMode(mode, isTurned = false) {
    const next = isTurned && mode === this.mode ? "side" : mode;
    if (this.pictures.length < 2 || next === this.mode) return;
    this.mode = next;
    this.rebuild();
  }

  setActive(at) {
    if (at === this.active || at >= Math.max(1, this.pictures.length)) return;
    this.active = at;
    this.layOut();
  }

  setAgainst(at) {
    this.against = Number(at);
    this.refresh();
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

  setSurround(name) {
    this.surround = name;
    this.root.style.setProperty("--sl-surround", SURROUNDS.find(([each]) => each === name)[1]);
    this.root.classList.toggle("sl-light", name !== "dark");
    this.tools.draw();
    this.options.onChange();
  }

  nextSurround() {
    const at = SURROUNDS.findIndex(([name]) => name === this.surround);
    this.setSurround(SURROUNDS[(at + 1) % SURROUNDS.length][0]);
  }

  toggleEqual() {
    this.isAll = !this.isAll;
    this.drawValues();
    this.options.onChange();
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
    const moved = [dx, dy].map((px) => px * devicePixelRatio); // not rounded: many small moves are one large one
    if (size && this.view.zoom) this.setView(panned(this.view, moved, size, this.frame));
  }

  // What is seen of a picture, as shares of it.
  seenOf(at) {
    const view = this.viewFor(at), half = halves(view, this.pictures[at].size, this.frame, this.scaleFor(at));
    const [width, height] = half.map((share) => Math.min(0.5, share));
    return [Math.max(0, view.x - width), Math.max(0, view.y - height), 2 * width, 2 * height];
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
    this.tools.draw();
    this.options.onSpot(name, rectangle, picture.spec);
  }

  // Every picture goes to its own place of that name; the first one's decides the zoom.
  goTo(name) {
    const known = this.pictures.filter((picture) => picture.size && this.spotOf(picture, name));
    if (!known.length || !this.stage.clientWidth) return;
    const middle = ([x, y, width, height]) => [x + width / 2, y + height / 2];
    const rectangle = this.spotOf(known[0], name), from = middle(rectangle);
    for (const picture of this.pictures) {
      const to = middle(this.spotOf(picture, name) ?? rectangle);
      picture.offset = [to[0] - from[0], to[1] - from[1]];
    }
    this.setView(viewOf(rectangle, known[0].size, this.frame));
  }

  setSpots(spots) {
    this.spots = { ...spots };
    this.tools.draw();
  }

  focus(at = this.active) { this.panes[this.isOne() ? 0 : at]?.frame.focus({ preventScroll: true }); }

  state() { return Object.fromEntries(KEPT.map((name) => [name, this[name]])); }

  // What `state` told once; what is not known any more stays as it is.
  restore(state) {
    const isKnown = (list, value) => list.some((each) => each.includes(value));
    for (const name of KEPT) if (typeof state[name] === typeof this[name]) this[name] = state[name];
    if (!isKnown(MODES, this.mode)) this.mode = "side";
    if (!Object.values(this.view ?? {}).every(Number.isFinite)) this.view = FIT;
    if (!GAINS.includes(this.gain)) this.gain = 4;
    this.setSurround(isKnown(SURROUNDS, this.surround) ? this.surround : "dark");
    this.rebuild();
    this.drawValues();
  }
}

window.SidelightViewer = {
  mount(element, options) {
    const viewer = new Viewer(element, options);
    return {
      show: (list) => viewer.show(list),
      focus: (at) => viewer.focus(at),
      active: () => viewer.active,
      setActive: (at) => viewer.setActive(at),
      setSpots: (spots) => viewer.setSpots(spots),
      goTo: (name) => viewer.goTo(name),
      state: () => viewer.state(),
      restore: (state) => viewer.restore(state),
      onKey: (event) => onKey(viewer, event), // for keys pressed elsewhere on the page
      destroy: () => viewer.destroy(),
    };
  },
};
