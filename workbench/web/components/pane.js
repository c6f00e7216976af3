// One pane of the viewer: its bar and a stack of all pictures, of which it shows one, or two for the slider, or their
// difference. Knows nothing about keys, modes or other panes. It holds every picture, so that flicker loads nothing.

import { NO_MARK, signsOf } from "./cell.js";
import { make } from "./element.js";
import { cornerOf, halves, scaleOf } from "./viewport.js";

const MAP_PX = 88;

export function words(state, reason) {
  return make("div", { className: "sl-words" }, make("b", { text: state }), make("span", { text: reason }));
}

export class Pane {
  constructor(count) {
    this.letter = make("span", { className: "sl-letter" });
    this.what = make("span", { className: "sl-what" });
    this.faults = make("span", { className: "sl-faults" });
    this.stars = make("span", { className: "sl-stars" });
    this.scale = make("span", { className: "sl-scale" });
    this.bar = make("div", { className: "sl-bar" }, this.letter, this.what, this.faults, this.stars,
      this.scale);
    this.layers = Array.from({ length: count }, () => make("div", { className: "sl-layer" }));
    this.map = make("div", { className: "sl-map", hidden: true }, make("i"));
    this.frame = make("div", { className: "sl-frame", tabIndex: 0, role: "img" }, ...this.layers, this.map);
    this.root = make("div", { className: "sl-pane" }, this.bar, this.frame);
  }

  // A picture that is in the cache already, or words in its place. `content` is an image, a canvas or null.
  fill(at, content, words) {
    const layer = this.layers[at];
    if (words) return layer.replaceChildren(words);
    if (!content) return layer.replaceChildren();
    if (content instanceof HTMLCanvasElement) return layer.replaceChildren(content);
    const shown = layer.querySelector("img") ?? make("img", { alt: "", draggable: false, decoding: "sync" });
    if (shown.src !== content.src) shown.src = content.src;
    if (shown.parentNode !== layer || layer.children.length > 1) layer.replaceChildren(shown);
  }

  // [left, top] and size in CSS pixels.
  move([left, top], { width, height, bar }) {
    const [x, y] = [`${left}px`, `${top}px`];
    Object.assign(this.root.style, { left: x, top: y, width: `${width}px`, height: `${height}px` });
    this.bar.style.height = `${bar}px`;
    this.frame.style.top = `${bar}px`;
  }

  // Shows layer `at`; `above` lies over it from `split` (device pixels) on.
  show(at, above, split) {
    for (const [i, layer] of this.layers.entries()) {
      layer.classList.toggle("sl-shown", i === at || i === above);
      layer.classList.toggle("sl-covering", i === above);
      layer.style.clipPath = i === above ? `inset(0 0 0 ${split / devicePixelRatio}px)` : "";
      layer.style.zIndex = i === above ? "1" : "0";
    }
  }

  place(at, view, size, frame, scale = scaleOf(view, size, frame)) {
    const content = this.layers[at].querySelector("img, canvas");
    if (!content) return;
    const [x, y] = cornerOf(view, size, frame, scale).map((px) => px / devicePixelRatio);
    content.style.transform = `translate(${x}px, ${y}px) scale(${scale / devicePixelRatio})`;
    this.layers[at].classList.toggle("sl-exact", scale >= 1);
  }

  // A small picture with the part that is seen, where that is not all of it.
  drawMap(picture, view, frame) {
    const half = picture && halves(view, picture.size, frame).map((share) => Math.min(0.5, share));
    this.map.hidden = !half || Math.min(...half) >= 0.5 - 1e-9 || frame[1] < 4 * MAP_PX * devicePixelRatio;
    if (this.map.hidden) return;
    const height = MAP_PX, width = Math.round((height * picture.size[0]) / picture.size[1]);
    const px = (share, whole) => `${share * whole}px`;
    Object.assign(this.map.style, { width: `${width}px`, height: `${height}px` });
    const image = `url("${picture.image.src}")`;
    if (this.map.style.backgroundImage !== image) this.map.style.backgroundImage = image;
    Object.assign(this.map.firstChild.style, {
      left: px(view.x - half[0], width), top: px(view.y - half[1], height),
      width: px(2 * half[0], width), height: px(2 * half[1], height),
    });
  }

  label(letter, picture, scale) {
    this.letter.textContent = letter;
    this.what.textContent = picture.name ?? "";
    this.what.title = picture.name ?? "";
    const { faults = [], remark = "" } = picture.mark ?? NO_MARK;
    this.faults.textContent = faults.join(", ");
    this.faults.title = remark;
    this.stars.textContent = signsOf(picture.mark ?? NO_MARK);
    this.scale.textContent = scale;
    this.frame.ariaLabel = `${letter}: ${picture.name ?? ""}, ${scale}`;
  }
}
