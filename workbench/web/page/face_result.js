// One repaired picture over the one before it, at the same place: held key, wipe, zoom. Knows nothing about repairs.
// A rectangle is [x, y, width, height] as shares of the picture.

import { make } from "../components/element.js";
import { inPlace, watchDrag } from "../components/making_view.js";
import { FIT, cornerOf, devicePx, nextZoom, panned, scaleOf, viewOf, zoomed } from "../components/viewport.js";

const STEP = 0.02;

export class FaceResult {
  // `onView` hears that zoom or place are others.
  constructor(onView) {
    this.onView = onView;
    Object.assign(this, { view: FIT, size: null, rectangle: null, split: 0.5, isWiping: false, isBefore: false });
    this.images = [make("img", { alt: "", draggable: false }), make("img", { alt: "", draggable: false })];
    this.layers = this.images.map((image) => make("div", { className: "sl-result-layer" }, image));
    this.letters = ["before", "after"].map((text) => make("span", { className: `sl-result-${text}`, text }));
    this.handle = make("div", { className: "sl-wipe", role: "slider", tabIndex: 0, ariaLabel: "Before and after",
      hidden: true, ariaValueMin: 0, ariaValueMax: 100 });
    this.words = make("div", { className: "sl-words", hidden: true });
    this.frame = make("div", { className: "sl-result-frame", tabIndex: 0, role: "img" }, ...this.layers,
      ...this.letters, this.handle, this.words);
    this.root = this.frame;
    this.listen();
  }

  listen() {
    watchDrag(this.frame, (x, y) => { if (!this.isSliding) this.pan(x, y); });
    this.frame.addEventListener("dblclick", (event) => this.zoomTo(this.view.zoom === 1 ? 0 : 1, event));
    this.frame.addEventListener("wheel", (event) => { event.preventDefault(); this.stepZoom(event.deltaY < 0 ? 1 : -1,
      event); }, { passive: false });
    this.handle.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      this.handle.setPointerCapture(event.pointerId);
      this.isSliding = true;
    });
    this.handle.addEventListener("pointermove", (event) => { if (this.isSliding) this.wipeTo(this.shareAt(event)); });
    for (const end of ["pointerup", "pointercancel"]) {
      this.handle.addEventListener(end, () => { this.isSliding = false; });
    }
    this.handle.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      this.wipeTo(this.split + by);
    });
    new ResizeObserver(() => this.resized()).observe(this.frame);
  }

  // ---- what is shown

  // Both are of one size; zoom and place stay while the picture before is the same.
  async show({ before, after, rectangle, name }) {
    this.wanted = after;
    this.frame.ariaLabel = name;
    const fresh = [before, after].map((src) => make("img", { src, alt: "", draggable: false }));
    try {
      await Promise.all(fresh.map((image) => image.decode()));
    } catch {
      if (this.wanted === after) this.say("This picture cannot be read", "Its file is gone or damaged.");
      return;
    }
    if (this.wanted !== after) return;
    const isOther = this.images[0].getAttribute("src") !== before || String(rectangle) !== String(this.rectangle);
    this.images.forEach((image, at) => image.replaceWith(fresh[at]));
    Object.assign(this, { images: fresh, size: [fresh[1].naturalWidth, fresh[1].naturalHeight], rectangle });
    this.words.hidden = true;
    if (isOther) this.toCrop();
    else this.draw();
  }

  say(title, text) {
    Object.assign(this, { wanted: "", size: null });
    this.words.hidden = false;
    this.words.replaceChildren(make("b", { text: title }), make("span", { text }));
    this.draw();
  }

  draw() {
    const { split, isWiping, isBefore, size } = this;
    for (const layer of this.layers) layer.hidden = !size;
    this.handle.hidden = !isWiping || !size;
    this.layers[1].style.clipPath = isBefore ? "inset(0 0 0 100%)" : isWiping ? `inset(0 0 0 ${100 * split}%)` : "none";
    this.letters[0].hidden = !size || !(isWiping || isBefore);
    this.letters[1].hidden = !size || isBefore || !isWiping;
    this.handle.style.left = `${100 * split}%`;
    this.handle.ariaValueNow = Math.round(100 * split);
    if (!size || !this.frame.clientWidth) return;
    for (const image of this.images) inPlace(image, this.frame, this.view, size);
    this.onView();
  }

  resized() {
    if (this.isAtCrop) this.toCrop();
    else this.draw();
  }

  // ---- what a person does

  hold(isBefore) {
    this.isBefore = isBefore;
    this.draw();
  }

  // It begins in the middle of what was worked on.
  wipe(isWiping) {
    this.isWiping = isWiping;
    this.wipeTo(isWiping && this.size && this.rectangle ? this.middle : this.split);
  }

  // Where the middle of the rectangle lies, as a share of the frame's width.
  get middle() {
    const { view, size, room, rectangle: [x, , width] } = this;
    return (cornerOf(view, size, room)[0] + (x + width / 2) * size[0] * scaleOf(view, size, room)) / room[0];
  }

  wipeTo(share) {
    this.split = Math.max(0, Math.min(1, share));
    this.draw();
  }

  toCrop() {
    const isSized = this.size && this.frame.clientWidth;
    if (isSized) this.view = this.rectangle ? viewOf(this.rectangle, this.size, this.room) : FIT;
    this.isAtCrop = true;
    this.draw();
  }

  zoomTo(zoom, event = null) {
    if (!this.size) return;
    this.isAtCrop = false;
    this.view = zoomed(this.view, zoom, this.size, this.room, event ? this.aimOf(event) : [0, 0]);
    this.draw();
  }

  stepZoom(by, event = null) { if (this.size) this.zoomTo(nextZoom(this.view, by, this.size, this.room), event); }

  pan(x, y) {
    if (!this.size || !this.view.zoom) return;
    this.isAtCrop = false;
    this.view = panned(this.view, [x, y].map((px) => px * devicePixelRatio), this.size, this.room);
    this.draw();
  }

  get room() { return [this.frame.clientWidth, this.frame.clientHeight].map(devicePx); }

  shareAt({ clientX }) {
    const box = this.frame.getBoundingClientRect();
    return (clientX - box.left) / box.width;
  }

  aimOf({ clientX, clientY }) {
    const box = this.frame.getBoundingClientRect();
    return [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2].map((px) => px * devicePixelRatio);
  }
}
