// Two rows of small pictures: what a repair gave, each at the same crop, and the chain of pictures it stands in.
// Knows nothing about routes.

import { make } from "../components/element.js";

const WHOLE = [0, 0, 1, 1];
const ROUGH = { width: "100%", height: "100%", left: "0", top: "0" };

// Before, then one a cell: {id, label, url, state, told, share, preview}; a preview is of the part that is worked on.
export class FaceStrip {
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.tiles = new Map();
    this.root = make("div", { className: "sl-face-strip", role: "listbox", ariaLabel: "Before, and what was made",
      ariaOrientation: "horizontal", hidden: true });
  }

  show(cells, { chosen, rectangle, size }) {
    const ids = cells.map(({ id }) => id);
    for (const [id, tile] of this.tiles) {
      if (ids.includes(id)) continue;
      tile.root.remove();
      this.tiles.delete(id);
    }
    for (const [at, cell] of cells.entries()) {
      const tile = this.tiles.get(cell.id) ?? this.tileOf(cell);
      if (this.root.children[at] !== tile.root) this.root.insertBefore(tile.root, this.root.children[at] ?? null);
      this.fill(tile, cell, { isChosen: cell.id === chosen, rectangle: rectangle ?? WHOLE, size });
    }
    this.root.hidden = !cells.length;
  }

  tileOf({ id }) {
    const image = make("img", { alt: "", draggable: false, hidden: true });
    const words = make("span", { className: "sl-tile-words" }), bar = make("i");
    const label = make("span", { className: "sl-tile-label" });
    const progress = make("span", { className: "sl-tile-progress", hidden: true }, bar);
    const root = make("button", { type: "button", className: "sl-face-tile", role: "option" },
      make("span", { className: "sl-tile-crop" }, image, words, progress), label);
    root.onclick = () => this.onChoose(id);
    const tile = { root, image, words, label, bar, progress };
    this.tiles.set(id, tile);
    return tile;
  }

  fill(tile, { label, url, state, told, share, preview }, { isChosen, rectangle: [x, y, width, height], size }) {
    const { root, image, words, bar, progress } = tile, ratio = size ? (width * size[0]) / (height * size[1]) : 1;
    root.style.setProperty("--sl-ratio", String(Math.max(0.5, Math.min(2, ratio))));
    root.ariaSelected = String(isChosen);
    root.tabIndex = isChosen ? 0 : -1;
    root.ariaLabel = [label, told || state].filter(Boolean).join(", ");
    root.title = told ?? "";
    root.dataset.state = state;
    tile.label.textContent = label;
    const src = url || preview || "";
    image.hidden = !src;
    if (src && image.getAttribute("src") !== src) image.src = src;
    Object.assign(image.style, src !== url ? ROUGH : { width: `${100 / width}%`, height: `${100 / height}%`, left: `${(-100 * x) / width}%`,
      top: `${(-100 * y) / height}%` });
    words.textContent = src ? "" : told || state;
    progress.hidden = !share;
    bar.style.transform = `scaleX(${share ?? 0})`;
  }

  focus(id) { this.tiles.get(id)?.root.focus(); }
}

// From the original to the newest; any of them can be gone back to. A link is {label, told, thumb}.
export class FaceChain {
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.list = make("ol", { ariaLabel: "How the picture came to be" });
    this.next = make("button", { type: "button", hidden: true });
    this.root = make("div", { className: "sl-face-chain", hidden: true }, make("span", { className: "sl-quiet",
      text: "History" }), this.list, this.next);
  }

  show(links, now) {
    this.root.hidden = links.length < 2 && this.next.hidden;
    this.list.replaceChildren(...links.map((link, at) => this.itemOf(link, at, at === now)));
  }

  offer(text, action) {
    this.next.hidden = !text;
    this.next.textContent = text;
    this.next.onclick = action;
    this.root.hidden = !text && this.list.children.length < 2;
  }

  itemOf({ label, told, thumb }, at, isNow) {
    const button = make("button", { type: "button", title: told || "Go on from this one", ariaPressed: String(isNow),
      onclick: () => this.onChoose(at) }, make("img", { src: thumb, alt: "", draggable: false }),
      make("span", { text: isNow ? `${label} · now` : label }));
    return make("li", {}, button);
  }
}
