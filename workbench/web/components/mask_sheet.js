// The mask: one byte a pixel of the picture, painted in strokes. Knows nothing about screens, zoom or pointers.
// Undo keeps the tiles that a step changed, an even tile as one number, so that many steps of a large picture fit.

import { boxOf, cover } from "./mask_brush.js";

export const TILE = 128;
const KEPT_BYTES = 128 * 2 ** 20; // of undo: 8192 uneven tiles
const COST_OF_EVEN = 16;

const costOf = (kept) => (typeof kept === "number" ? COST_OF_EVEN : kept.length);

export class MaskSheet {
  // `note` is any value that belongs to the mask as it is; undo brings the one of before back.
  constructor(width, height, note = null) {
    Object.assign(this, { width, height, note, stroke: null, sum: 0, past: [], future: [] });
    this.pixels = new Uint8Array(width * height);
    this.across = Math.ceil(width / TILE);
    this.tiles = this.across * Math.ceil(height / TILE);
  }

  get share() { return this.sum / (255 * this.width * this.height); }

  // ---- tiles

  placeOf(at) {
    const left = (at % this.across) * TILE, top = Math.floor(at / this.across) * TILE;
    return { left, top, width: Math.min(TILE, this.width - left), height: Math.min(TILE, this.height - top) };
  }

  copyOf(at, pixels = this.pixels) {
    const { left, top, width, height } = this.placeOf(at), copy = new Uint8Array(width * height);
    for (let y = 0; y < height; y++) {
      const from = (top + y) * this.width + left;
      copy.set(pixels.subarray(from, from + width), y * width);
    }
    return copy;
  }

  write(at, kept) {
    const { left, top, width, height } = this.placeOf(at);
    for (let y = 0; y < height; y++) {
      const to = (top + y) * this.width + left;
      if (typeof kept === "number") this.pixels.fill(kept, to, to + width);
      else this.pixels.set(kept.subarray(y * width, (y + 1) * width), to);
    }
  }

  // ---- strokes

  begin({ isErasing, hardness }) {
    this.stroke = { target: isErasing ? 0 : 255, hardness, before: new Map(), covered: new Map() };
  }

  // Answers the box [left, top, right, bottom] that may be another now.
  line(from, to) {
    const [left, top, right, bottom] = boxOf(from, to);
    const box = [Math.max(0, left), Math.max(0, top), Math.min(this.width, right), Math.min(this.height, bottom)];
    if (box[0] >= box[2] || box[1] >= box[3]) return box;
    for (let row = Math.floor(box[1] / TILE); row * TILE < box[3]; row++) {
      for (let column = Math.floor(box[0] / TILE); column * TILE < box[2]; column++) {
        this.lineInTile(row * this.across + column, from, to, box);
      }
    }
    return box;
  }

  // Along one stroke a pixel takes the most that was ever over it, from what it was before: crossing again adds none.
  lineInTile(at, from, to, box) {
    const { before, covered, hardness, target } = this.stroke, place = this.placeOf(at), { left, top, width } = place;
    if (!before.has(at)) {
      before.set(at, this.copyOf(at));
      covered.set(at, new Uint8Array(width * place.height));
    }
    const was = before.get(at), most = covered.get(at);
    const clip = [Math.max(left, box[0]), Math.max(top, box[1]), Math.min(left + width, box[2]),
      Math.min(top + place.height, box[3])];
    cover(most, place, [from, to, hardness], clip, (i, x, y) => {
      this.pixels[y * this.width + x] = Math.round(was[i] + ((target - was[i]) * most[i]) / 255);
    });
  }

  end(note) {
    const { before } = this.stroke;
    this.stroke = null;
    return this.keep(before, note);
  }

  cancel() {
    for (const [at, copy] of this.stroke.before) this.write(at, copy);
    this.stroke = null;
  }

  // ---- steps

  // `fresh(at, bytes)` answers a tile's next bytes, or one number for an even tile.
  change(fresh, note) {
    const before = new Map();
    for (let at = 0; at < this.tiles; at++) {
      const was = this.copyOf(at);
      before.set(at, was);
      this.write(at, fresh(at, was));
    }
    return this.keep(before, note);
  }

  replace(pixels, note) { return this.change((at) => this.copyOf(at, pixels), note); }

  fill(value, note) { return this.change(() => value, note); }

  invert(note) { return this.change((_, bytes) => mapped(bytes, (value) => 255 - value), note); }

  // Another mask of the same size laid over: the larger value; taken away: the smaller of the value and its inverse.
  combine(pixels, isTakenAway, note) {
    return this.change((at, bytes) => {
      const other = this.copyOf(at, pixels);
      const mix = isTakenAway ? (value, i) => Math.min(value, 255 - other[i]) : (value, i) => Math.max(value, other[i]);
      return mapped(bytes, mix);
    }, note);
  }

  // Answers whether anything is another now; `before` are the tiles that may be.
  keep(before, note) {
    const tiles = new Map();
    for (const [at, was] of before) {
      const now = this.copyOf(at);
      if (isSame(was, now)) continue;
      this.sum += sumOf(now) - sumOf(was);
      tiles.set(at, evened(was));
    }
    if (!tiles.size && note === this.note) return false;
    this.past.push({ tiles, note: this.note });
    Object.assign(this, { note, future: [] });
    this.forget();
    return true;
  }

  forget() {
    const cost = (step) => [...step.tiles.values()].reduce((sum, kept) => sum + costOf(kept), 0);
    let all = this.past.reduce((sum, step) => sum + cost(step), 0);
    while (all > KEPT_BYTES && this.past.length > 1) all -= cost(this.past.shift());
  }

  undo() { return this.swap(this.past, this.future); }

  redo() { return this.swap(this.future, this.past); }

  swap(from, to) {
    const step = from.pop();
    if (!step) return false;
    const other = { tiles: new Map(), note: this.note };
    for (const [at, kept] of step.tiles) {
      const now = this.copyOf(at);
      this.sum += sumOf(asBytes(kept, now.length)) - sumOf(now);
      other.tiles.set(at, evened(now));
      this.write(at, kept);
    }
    this.note = step.note;
    to.push(other);
    return true;
  }
}

// As bytes.map, at a third of its time.
function mapped(bytes, change) {
  const fresh = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at++) fresh[at] = change(bytes[at], at);
  return fresh;
}

function isSame(one, other) {
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}

function sumOf(bytes) {
  let sum = 0;
  for (let at = 0; at < bytes.length; at++) sum += bytes[at];
  return sum;
}

const asBytes = (kept, length) => (typeof kept === "number" ? new Uint8Array(length).fill(kept) : kept);
const evened = (bytes) => (isSame(bytes, asBytes(bytes[0], bytes.length)) ? bytes[0] : bytes);
