// Two pictures side by side: their cheeks at one picture pixel for one pixel of the screen, or the whole of them as
// large as fits. Knows nothing about votes or routes. A side: {picture, cheek}; a cheek: [x, y, width, height], shares.

import { make } from "./element.js";
import { devicePx, unitPx, upTo } from "./viewport.js";

const GROWN = 2; // the crop is so many times the cheek's longer side: skin, and a little of what is around it
const LEAST_PX = 128; // device pixels of a crop's side
const GAP_PX = 14;
export const ZOOMS = [1, 2, 4];

export class PairView {
  constructor(onChoose) {
    this.zoom = 1;
    this.frames = ["left", "right"].map((side) => make("button", {
      type: "button", className: "sl-shown", ariaLabel: `${side} picture`, tabIndex: -1, onclick: () => onChoose(side),
    }));
    this.root = make("div", { className: "sl-sides" }, ...this.frames);
    this.resized = new ResizeObserver(() => this.layOut());
    this.resized.observe(this.root);
  }

  // `images` are decoded already: nothing is waited for, both change at once.
  show(pair, images) {
    Object.assign(this, { pair, images });
    this.frames.forEach((frame, at) => frame.replaceChildren(images[at]));
    this.layOut();
  }

  clear() {
    this.pair = null;
    for (const frame of this.frames) frame.replaceChildren();
  }

  nextZoom() {
    this.zoom = ZOOMS[(ZOOMS.indexOf(this.zoom) + 1) % ZOOMS.length];
    this.layOut();
    return this.zoom;
  }

  layOut() {
    if (!this.pair || !this.root.clientWidth) return;
    const unit = unitPx(), box = this.root.getBoundingClientRect();
    const room = [box.width / 2 - GAP_PX / 2, box.height].map((px) => devicePx(Math.floor(px / unit) * unit));
    const sizes = this.images.map((image) => [image.naturalWidth, image.naturalHeight]);
    const isCheek = this.pair.view === "cheek";
    const scale = isCheek ? this.zoom : wholeScale(sizes, room);
    const sides = [this.pair.left, this.pair.right];
    const crop = isCheek ? cropOf(sides, sizes).map((px, i) => Math.min(px * scale, room[i])) : null;
    const even = (px) => upTo(px, unit * devicePixelRatio); // ends where it shows, not within a pixel of the screen
    this.frames.forEach((frame, at) => {
      const size = sizes[at].map((px) => px * scale);
      const shown = (crop ?? size).map((px, i) => even(Math.min(px, size[i])));
      this.place(frame, at, shown, { box, room, unit });
      placeImage(this.images[at], size, shown, { scale, cheek: isCheek ? sides[at].cheek : [0, 0, 1, 1] });
    });
    this.scale = scale;
  }

  // Frames lie beside each other about the middle, and begin where a CSS pixel meets a device pixel.
  place(frame, at, shown, { box, room, unit }) {
    const [width, height] = shown.map((px) => px / devicePixelRatio);
    const middle = box.left + box.width / 2, beside = at ? GAP_PX / 2 : -GAP_PX / 2 - width;
    const top = box.top + Math.max(0, (room[1] / devicePixelRatio - height) / 2);
    const [x, y] = [upTo(middle + beside, unit) - box.left, upTo(top, unit) - box.top];
    Object.assign(frame.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
  }
}

function placeImage(image, size, shown, { scale, cheek: [x, y, width, height] }) {
  const centre = [x + width / 2, y + height / 2];
  const corner = size.map((px, i) => Math.round(clamp(shown[i] / 2 - centre[i] * px, shown[i] - px)));
  const [left, top] = corner.map((px) => px / devicePixelRatio);
  image.style.transform = `translate(${left}px, ${top}px) scale(${scale / devicePixelRatio})`;
  image.style.imageRendering = scale >= 1 ? "pixelated" : "auto";
}

function clamp(at, least) { return Math.min(0, Math.max(least, at)); }

// One crop for both sides, in picture pixels.
function cropOf(sides, sizes) {
  const longest = sides.map(({ cheek }, at) => Math.max(cheek[2] * sizes[at][0], cheek[3] * sizes[at][1]));
  const side = Math.round(Math.max(LEAST_PX, GROWN * Math.max(...longest)));
  return [side, side];
}

// Whole times where the pictures are smaller than their room, so that their pixels stay what they are.
function wholeScale(sizes, room) {
  const fits = Math.min(...sizes.flatMap((size) => size.map((px, i) => room[i] / px)));
  return fits >= 1 ? Math.floor(fits) : fits;
}
