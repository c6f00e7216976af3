// Strokes of the pointer over the mask editor's picture, and the ring that shows the brush. Knows nothing about how the
// mask is kept: a stroke goes to the sheet in pixels of the picture.

import { make } from "./element.js";

const SMALLEST_STEP = 0.1; // of the radius: points closer than this change no pixel by much
const LIGHTEST = 0.25; // of the size, where a pen barely touches
const SMALL_PX = 6; // a smaller ring has no inner one

export class Painter {
  constructor(editor, frame) {
    Object.assign(this, { editor, frame, last: null, pointer: null });
    this.ring = make("div", { className: "sl-mask-ring", hidden: true });
    frame.append(this.ring);
  }

  // Where a pointer is, in pixels of the picture, with the radius its pressure makes.
  pointOf({ clientX, clientY, pointerType, pressure }) {
    const { shift, corner, scale, brush } = this.editor, box = this.frame.getBoundingClientRect();
    const [x, y] = [clientX - box.left, clientY - box.top].map((px, i) =>
      ((px - shift[i]) * devicePixelRatio - corner[i]) / scale);
    const share = pointerType === "pen" && pressure ? LIGHTEST + (1 - LIGHTEST) * pressure : 1;
    return { x, y, radius: (brush.size / 2) * share };
  }

  beginStroke(event) {
    const { sheet, tool, brush } = this.editor, point = this.pointOf(event);
    this.editor.forgetWanted();
    sheet.begin({ isErasing: (tool === "eraser") !== event.altKey, hardness: brush.hardness });
    this.extend(event.shiftKey && this.last ? this.last : point, point);
  }

  stroke(events) {
    for (const event of events) {
      const point = this.pointOf(event), far = Math.hypot(point.x - this.last.x, point.y - this.last.y);
      if (this.editor.sheet.stroke && far >= SMALLEST_STEP * point.radius) this.extend(this.last, point);
    }
  }

  extend(from, to) {
    this.editor.drawSoon(this.editor.sheet.line(from, to));
    this.last = to;
  }

  endStroke(event) {
    const { editor } = this;
    if (!editor.sheet.stroke) return;
    this.extend(this.last, { ...this.pointOf(event), radius: this.last.radius }); // a pen that lifts has no pressure
    editor.sheet.end(editor.painted());
    editor.changed();
  }

  cancelStroke() {
    if (!this.editor.sheet?.stroke) return;
    this.editor.sheet.cancel();
    this.editor.changed();
  }

  // Another picture: no line is drawn on from the last one's.
  forget() { this.last = null; }

  showRing(event) {
    this.pointer = event && { clientX: event.clientX, clientY: event.clientY, pointerType: event.pointerType };
    this.drawRing();
  }

  drawRing() {
    const { ring, pointer } = this, { sheet, tool, brush, scale, gestures } = this.editor;
    const isPainting = sheet && tool !== "regions" && !gestures?.isSpaceHeld;
    ring.hidden = !pointer || !isPainting || pointer.pointerType === "touch";
    if (ring.hidden) return;
    const box = this.frame.getBoundingClientRect(), px = (brush.size * scale) / devicePixelRatio;
    ring.style.width = ring.style.height = `${px}px`;
    ring.style.setProperty("--sl-core", `${(50 * (1 - brush.hardness)).toFixed(1)}%`);
    ring.style.transform = `translate(${pointer.clientX - box.left}px, ${pointer.clientY - box.top}px) `
      + "translate(-50%, -50%)";
    ring.classList.toggle("sl-small", px < SMALL_PX);
  }
}
