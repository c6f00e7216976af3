// A mask over a picture: chosen by regions of its faces, painted by hand, exact to the byte at any zoom. A module;
// `new MaskEditor(element, {on: {change(state), expression(text), face(number), say(line)}})`; on.face: a person picked
// another face. Knows nothing about runs or repairs.
//
// await open({url, width, height, faces, no_face})   faces: [{number, box: [left, top, right, bottom], eye_distance,
//     note, regions_url}] or with regions: {name: {polygons: [[[x, y], ...], ...], url}} in place of regions_url; all
//     in pixels of the picture, a region's url its mask as 8-bit grey PNG
// setExpression(text)        shows which regions are in the words; fires nothing. A click on a region makes new words
//     and calls on.expression; the page then gets their mask and hands it to setMask
// await setMask(mask)        Uint8Array(width * height), address or Blob of a grey PNG, null for none; one step of undo
// await loadMask(blob)       a painted mask; false, and on.say(line), if it is of another size or no picture
// await mask()               the mask as it is, a Blob: 8-bit grey PNG of the picture's size
// isPainted, state()         {isPainted, isEmpty, share, expression, canUndo, canRedo, tool, face, isShown}
// setTool("regions" | "brush" | "eraser"), pickFace(n), goTo(n), onKey(event), destroy()
//
// Once something is painted the mask is no more what words say: a click on a region then adds or takes away its pixels.

import { make } from "./element.js";
import { keysHelp } from "./keys_help.js";
import { signOf, turned } from "./mask_expression.js";
import { MaskGestures } from "./mask_gestures.js";
import { RegionList } from "./mask_list.js";
import { drawMask, onScreen } from "./mask_overlay.js";
import { Painter } from "./mask_painter.js";
import { decodeGrey, encodeGrey } from "./mask_png.js";
import { Outlines } from "./mask_regions.js";
import { MaskSheet } from "./mask_sheet.js";
import { MaskTools } from "./mask_tools.js";
import { MASK_KEYS, hintOf, keptOf, sharesOf } from "./mask_words.js";
import {
  FIT, cornerOf, devicePx, inside, nextZoom, panned, scaleOf, unitPx, upTo, viewOf, zoomed,
} from "./viewport.js";

const LARGEST_ZOOM = 16; // device pixels a pixel of the picture
const UNTOUCHED = { isPainted: false, expression: "" };

export class MaskEditor {
  constructor(element, { on = {} } = {}) {
    this.on = { change() {}, expression() {}, face() {}, say: (line) => { this.problem.textContent = line; }, ...on };
    Object.assign(this, { sheet: null, view: FIT, tool: "regions", face: 0, expression: "", isShown: true });
    Object.assign(this, { brush: { size: 40, hardness: 0.5 }, regions: new Map(), size: null, pending: null });
    this.asked = 0; // how many pictures were opened
    this.build(element);
    this.painter = new Painter(this, this.frame);
    this.gestures = new MaskGestures(this, this.frame);
    this.resized = new ResizeObserver(() => this.layOut());
    this.resized.observe(this.frame);
    this.draw();
  }

  // ---- once

  build(element) {
    const point = (face, region) => this.point(face, region);
    this.tools = new MaskTools(this);
    this.list = new RegionList({ point, pick: (face) => this.chooseFace(face),
      turn: (...region) => this.turnRegion(...region) });
    this.outlines = new Outlines({ point, pick: (face) => this.chooseFace(face) });
    this.image = make("img", { alt: "", draggable: false });
    this.canvas = make("canvas", {});
    this.context = this.canvas.getContext("2d");
    this.layers = make("div", { className: "sl-mask-layers" }, this.image, this.canvas, this.outlines.svg,
      this.outlines.badges);
    this.frame = make("div", { className: "sl-mask-frame", tabIndex: 0, role: "group", ariaLabel: "Picture and mask" },
      this.layers);
    this.told = make("span", { className: "sl-told" });
    this.kept = make("span", { ariaLive: "polite" });
    this.zoomed = make("span", { className: "sl-scale" });
    this.problem = make("span", { className: "sl-problem", role: "alert" });
    this.help = keysHelp(MASK_KEYS);
    const body = make("div", { className: "sl-mask-body" }, this.sideOf(), this.frame);
    const foot = make("div", { className: "sl-mask-foot" }, this.told, this.problem,
      make("span", { className: "sl-push" }), this.kept, this.zoomed);
    this.root = make("div", { className: "sidelight sl-mask-editor" }, this.tools.root, body, foot, this.help);
    element.replaceChildren(this.root);
  }

  sideOf() {
    const file = make("input", { type: "file", accept: "image/png", hidden: true });
    file.onchange = () => {
      if (file.files.length) this.loadMask(file.files[0]);
      file.value = "";
    };
    const title = "A grey PNG of the picture's own size: white is masked";
    this.load = make("button", { type: "button", text: "Load mask", title, onclick: () => file.click() });
    this.save = make("button", { type: "button", text: "Save mask", title, onclick: () => this.saveMask() });
    const files = make("div", { className: "sl-mask-files" }, this.load, this.save, file);
    return make("aside", { className: "sl-mask-side", ariaLabel: "Faces, regions, brush" }, this.list.root,
      this.tools.brush, files);
  }

  destroy() {
    this.asked++;
    this.resized.disconnect();
    this.gestures.destroy();
    this.root.remove();
  }

  onKey(event) { return this.gestures.onKey(event); }

  // ---- what is shown

  async open({ url, width, height, faces = [], no_face: nothing = "" }) {
    const asked = ++this.asked;
    this.image.src = url;
    await this.image.decode();
    if (asked !== this.asked) return; // another was opened since
    this.sheet = new MaskSheet(width, height, UNTOUCHED);
    Object.assign(this, { size: [width, height], view: FIT, expression: "", face: 0, masked: 0 });
    this.faces = new Map(faces.map((face) => [face.number, face]));
    this.regions.clear();
    this.painter.forget();
    this.outlines.open(faces);
    this.list.open(faces, nothing);
    const area = ({ box: [left, top, right, bottom] }) => (right - left) * (bottom - top);
    const largest = faces.toSorted((one, other) => area(other) - area(one));
    this.setBrush({ size: (largest[0]?.eye_distance ?? Math.max(width, height) / 10) / 4 });
    this.pickFace(largest[0]?.number ?? 0);
    this.layOut();
    this.changed();
    await this.askRegions(largest, asked);
  }

  // One after another, the largest face first: finding the skin of one takes up to a second.
  async askRegions(faces, asked) {
    for (const { number, regions, regions_url: url } of faces) {
      const found = regions ?? (await this.fetched(url).then((answer) => answer.json()).catch((error) => {
        if (asked === this.asked) this.on.say(error.message);
        return {};
      })).regions ?? {};
      if (asked !== this.asked) return;
      this.regions.set(number, found);
      this.outlines.fill(number, found);
      if (number === this.face) this.pickFace(number);
      this.mark();
    }
  }

  async fetched(url) {
    const answer = await fetch(url);
    if (answer.ok) return answer;
    const { error } = await answer.json().catch(() => ({}));
    throw new Error(error ?? `the server answered ${answer.status}`);
  }

  // ---- the mask

  get isPainted() { return Boolean(this.sheet?.note.isPainted); }

  state() {
    const { sheet, isPainted, expression, tool, face, isShown } = this;
    return { isPainted, expression, tool, face, isShown, isEmpty: !sheet?.sum, share: sheet?.share ?? 0,
      canUndo: Boolean(sheet?.past.length), canRedo: Boolean(sheet?.future.length) };
  }

  mask() { return encodeGrey(this.sheet.pixels, ...this.size); }

  // What was asked for last is what is shown, in whatever order the answers come.
  async setMask(mask) {
    const { sheet, expression } = this, masked = ++this.masked;
    const pixels = await this.pixelsOf(mask);
    if (!pixels || sheet !== this.sheet || masked !== this.masked) return false;
    this.painter.cancelStroke();
    sheet.replace(pixels, { isPainted: false, expression });
    this.changed();
    return true;
  }

  async loadMask(blob) {
    const { sheet } = this, pixels = await this.pixelsOf(blob);
    if (!pixels || sheet !== this.sheet) return false;
    this.forgetWanted();
    sheet.replace(pixels, this.painted());
    this.changed();
    return true;
  }

  // The bytes of a mask of the picture's size; null, and a line said, for what is none.
  async pixelsOf(mask) {
    const [width, height] = this.size;
    try {
      if (mask === null || mask === "") return new Uint8Array(width * height);
      const blob = typeof mask === "string" ? await (await this.fetched(mask)).blob() : mask;
      const found = blob instanceof Blob ? await decodeGrey(blob) : { width, height, pixels: blob };
      const { pixels } = found, isSame = found.width === width && found.height === height;
      if (isSame && pixels.length === width * height) return pixels;
      const given = `this mask is ${found.width} x ${found.height} pixels and the picture ${width} x ${height}`;
      this.on.say(`${given}; give one of the picture's own size`);
    } catch (error) {
      const isOurs = error.constructor === Error;
      this.on.say(isOurs ? error.message : "this mask cannot be read; give a grey PNG of the picture's own size");
    }
    return null;
  }

  async saveMask() {
    const url = URL.createObjectURL(await this.mask());
    make("a", { href: url, download: "mask.png" }).click();
    URL.revokeObjectURL(url);
  }

  // A mask that is still on its way is not wanted any more.
  forgetWanted() { this.masked++; }

  painted() { return { isPainted: true, expression: this.expression }; }

  setExpression(text) {
    this.expression = text;
    this.mark();
  }

  async turnRegion(face, region, sign) {
    if (face !== this.face) this.chooseFace(face);
    if (this.isPainted) return this.paintRegion(face, region, sign);
    const text = turned(this.expression, `face${face}.${region}`, sign);
    if (sign === "-" && !text) return this.on.say("there is nothing yet to take a region away from; add one first");
    this.setExpression(text);
    return this.on.expression(text);
  }

  async paintRegion(face, region, sign) {
    const { sheet } = this, pixels = await this.pixelsOf(this.regions.get(face)?.[region]?.url ?? null);
    if (!pixels || sheet !== this.sheet || sheet.stroke) return;
    if (sheet.combine(pixels, sign === "-", this.painted())) this.changed();
  }

  step(change) {
    if (!this.sheet || this.sheet.stroke || !change(this.sheet)) return;
    this.forgetWanted();
    this.setExpression(this.sheet.note.expression);
    this.changed();
  }

  undo() { this.step((sheet) => sheet.undo()); }

  redo() { this.step((sheet) => sheet.redo()); }

  clear() { this.step((sheet) => sheet.fill(0, { isPainted: false, expression: "" })); }

  invert() { this.step((sheet) => sheet.invert(this.painted())); }

  changed() {
    this.drawSoon([0, 0, ...this.size]);
    this.mark();
    this.draw();
    this.on.change(this.state());
  }

  // ---- brush

  get largestBrush() { return this.size ? Math.max(...this.size) / 2 : 1000; }

  setTool(tool) {
    this.tool = tool;
    this.root.dataset.tool = tool;
    this.point(0, "");
    this.draw();
    this.painter.drawRing();
  }

  setBrush({ size = this.brush.size, hardness = this.brush.hardness }) {
    const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
    this.brush = { size: clamp(size, 1, this.largestBrush), hardness: clamp(Math.round(hardness * 100) / 100, 0, 1) };
    this.draw();
    this.painter.drawRing();
  }

  // ---- faces

  pickFace(number) {
    if (number && !this.faces?.has(number)) return;
    this.face = number;
    this.list.fill(number, this.regions.get(number) ?? {}, this.faces.get(number)?.note ?? "");
    this.mark();
  }

  // As a person picks it, so that the page hears of it.
  chooseFace(number) {
    this.pickFace(number);
    if (this.face === number) this.on.face(number);
  }

  goTo(number) {
    const face = this.faces?.get(number);
    if (!face) return;
    this.pickFace(number);
    this.setView(viewOf(sharesOf(face.box, this.size), this.size, this.room));
  }

  point(face, region) {
    this.pointed = [face, region];
    this.outlines.hover(face, region);
    this.list.hover(face, region);
    this.told.textContent = face ? `face ${face}: ${region}` : hintOf(this);
  }

  mark() {
    const sign = (face, region) => (this.isPainted ? "" : signOf(this.expression, `face${face}.${region}`));
    this.outlines.mark(this.face, sign);
    this.list.mark(sign);
  }

  // ---- where everything lies

  layOut() {
    if (!this.size || !this.frame.clientWidth) return;
    const { frame, size } = this, box = frame.getBoundingClientRect(), unit = unitPx();
    this.shift = [upTo(box.left, unit) - box.left, upTo(box.top, unit) - box.top];
    this.room = [frame.clientWidth, frame.clientHeight].map(devicePx);
    this.view = inside(this.view, size, this.room);
    this.scale = scaleOf(this.view, size, this.room);
    this.corner = cornerOf(this.view, size, this.room, this.scale);
    const css = (px) => px / devicePixelRatio, [x, y] = this.corner.map(css);
    this.layers.style.transform = `translate(${this.shift[0]}px, ${this.shift[1]}px)`;
    const natural = (this.scale * size[0]) / this.image.naturalWidth;
    this.image.style.transform = `translate(${x}px, ${y}px) scale(${css(natural)})`;
    this.frame.classList.toggle("sl-exact", this.scale >= 1);
    this.frame.classList.toggle("sl-pans", this.view.zoom > 0);
    this.outlines.place(this.corner, this.scale);
    this.drawSoon([0, 0, ...size]);
    this.draw();
    this.painter.drawRing();
  }

  // The mask is drawn once a frame, only where it may be another; all of it where the view is another.
  drawSoon(box) {
    const [left, top, right, bottom] = this.pending ?? box;
    if (!this.pending) requestAnimationFrame(() => this.drawPending());
    this.pending = [Math.min(left, box[0]), Math.min(top, box[1]), Math.max(right, box[2]), Math.max(bottom, box[3])];
  }

  drawPending() {
    const { canvas, context, pending, room } = this;
    this.pending = null;
    if (!this.sheet || !room) return;
    if (canvas.width !== room[0] || canvas.height !== room[1]) [canvas.width, canvas.height] = room;
    [canvas.style.width, canvas.style.height] = room.map((px) => `${px / devicePixelRatio}px`);
    const isAll = pending[2] - pending[0] >= this.size[0] && pending[3] - pending[1] >= this.size[1];
    drawMask(context, this.sheet, this, isAll ? [0, 0, ...room] : onScreen(pending, this, room));
  }

  draw() {
    this.tools.draw();
    this.root.dataset.tool = this.tool;
    this.canvas.hidden = !this.isShown;
    this.kept.textContent = this.sheet ? keptOf(this.state()) : "";
    this.zoomed.textContent = this.scale ? `${Math.round(this.scale * 100)} %` : "";
    this.load.disabled = !this.sheet;
    this.save.disabled = !this.sheet?.sum;
    if (!this.pointed?.[0]) this.told.textContent = hintOf(this);
  }

  toggleShown() {
    this.isShown = !this.isShown;
    this.draw();
  }

  // ---- zoom and place

  setView(view) {
    this.view = view;
    this.layOut();
  }

  // A point of the window as device pixels from the middle of the frame.
  aimOf(at) {
    if (!at) return [0, 0];
    const { left, top } = this.frame.getBoundingClientRect();
    return [at[0] - left, at[1] - top].map((px, i) => (px - this.shift[i]) * devicePixelRatio - this.room[i] / 2);
  }

  zoomTo(zoom, at = null) {
    if (this.sheet) this.setView(zoomed(this.view, zoom, this.size, this.room, this.aimOf(at)));
  }

  stepZoom(by, at = null) {
    if (this.sheet) this.zoomTo(nextZoom(this.view, by, this.size, this.room), at);
  }

  zoomBy(factor, at) {
    if (!this.sheet) return;
    const fit = scaleOf(FIT, this.size, this.room), zoom = Math.min(LARGEST_ZOOM, this.scale * factor);
    this.zoomTo(zoom <= fit ? 0 : zoom, at);
  }

  pan(dx, dy) {
    if (!this.sheet || !this.view.zoom) return;
    this.setView(panned(this.view, [dx, dy].map((px) => px * devicePixelRatio), this.size, this.room));
  }
}
