// Pointer, wheel, touch and keys of the mask editor. Knows nothing about how a mask is kept or drawn: it calls what an
// editor can do. One finger or pen paints, two fingers zoom and move; Space or the middle button move the picture.

import { isTyped } from "./gestures.js";

const CLICK_PX = 4; // moved less than this, a press was a click
const TURN = 40; // a touchpad sends many small turns, a wheel few large ones
const PINCH_SPEED = 0.01;
const SHIFTED = { Digit0: 0, Digit1: 1, Digit2: 2, Digit4: 4 };
const GROW = 1.15;

const at = (event) => [event.clientX, event.clientY];
const middle = (one, other) => one.map((px, i) => (px + other[i]) / 2);
// All the places a pointer was at since the last event.
const waysOf = (event) => (event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]);
const apart = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);

export class MaskGestures {
  constructor(editor, frame) {
    Object.assign(this, { editor, frame, touches: new Map(), drag: null, turned: 0, isSpaceHeld: false });
    const on = (name, act, options) => frame.addEventListener(name, act, options);
    on("wheel", (event) => this.wheel(event), { passive: false });
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", (event) => this.cancel(event));
    on("pointerleave", () => editor.painter.showRing(null));
    on("dblclick", (event) => this.twice(event));
    on("contextmenu", (event) => { if (editor.tool !== "regions") event.preventDefault(); });
    this.key = (event) => {
      if (event.target === document.body || editor.root.contains(event.target)) this.onKey(event);
    };
    this.released = (event) => { if (event.type === "blur" || event.key === " ") this.holdSpace(false); };
    document.addEventListener("keydown", this.key);
    window.addEventListener("keyup", this.released);
    window.addEventListener("blur", this.released);
  }

  destroy() {
    document.removeEventListener("keydown", this.key);
    window.removeEventListener("keyup", this.released);
    window.removeEventListener("blur", this.released);
  }

  // ---- wheel and two fingers

  wheel(event) {
    event.preventDefault();
    if (event.ctrlKey) { // a touchpad's pinch
      this.editor.zoomBy(Math.exp(-event.deltaY * PINCH_SPEED), at(event));
      return;
    }
    this.turned += event.deltaY;
    if (Math.abs(this.turned) < TURN) return;
    this.editor.stepZoom(this.turned < 0 ? 1 : -1, at(event));
    this.turned = 0;
  }

  pinch(event) {
    const before = [...this.touches.values()];
    this.touches.set(event.pointerId, at(event));
    const after = [...this.touches.values()];
    const [from, to] = [middle(...before), middle(...after)];
    this.editor.zoomBy(apart(...after) / Math.max(1, apart(...before)), to);
    this.editor.pan(to[0] - from[0], to[1] - from[1]);
  }

  twice(event) {
    const { editor } = this, isOnRegion = editor.outlines.under(this.pressed)[0] > 0;
    if (editor.tool === "regions" && !isOnRegion) editor.zoomTo(editor.view.zoom ? 0 : 1, at(event));
  }

  // ---- one pointer

  down(event) {
    const { editor } = this;
    if (!editor.sheet || event.target.closest("button")) return;
    this.pressed = event.target; // the frame catches the pointer now, and is the target of all that follows
    this.frame.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") this.touches.set(event.pointerId, at(event));
    if (this.touches.size === 2) {
      if (this.drag?.kind === "paint") editor.painter.cancelStroke();
      this.drag = { kind: "pinch" };
      return;
    }
    const isMoving = event.button === 1 || (event.button === 0 && this.isSpaceHeld);
    if (!isMoving && event.button !== 0) return;
    if (event.button === 1) event.preventDefault(); // no scrolling by itself
    const isPainting = !isMoving && editor.tool !== "regions";
    this.drag = { kind: isPainting ? "paint" : "pan", from: at(event), at: at(event), id: event.pointerId,
      isClick: !isMoving && !isPainting };
    if (isPainting) editor.painter.beginStroke(event);
  }

  move(event) {
    const { drag, editor } = this;
    editor.painter.showRing(event);
    if (!drag) return;
    if (drag.kind === "pinch") {
      if (this.touches.has(event.pointerId) && this.touches.size === 2) this.pinch(event);
    } else if (event.pointerId === drag.id) {
      if (drag.kind === "paint") editor.painter.stroke(waysOf(event));
      else this.panTo(drag, at(event));
    }
  }

  panTo(drag, now) {
    if (drag.isClick && apart(drag.from, now) < CLICK_PX) return;
    drag.isClick = false;
    this.frame.classList.add("sl-dragging");
    this.editor.pan(now[0] - drag.at[0], now[1] - drag.at[1]);
    drag.at = now;
  }

  up(event) {
    const { drag, editor } = this;
    this.touches.delete(event.pointerId);
    if (!drag || (drag.kind !== "pinch" && event.pointerId !== drag.id)) return;
    this.end();
    if (drag.kind === "paint") editor.painter.endStroke(event);
    if (!drag.isClick) return;
    const [face, region] = editor.outlines.under(this.pressed);
    if (face) editor.turnRegion(face, region, event.altKey ? "-" : "+");
  }

  cancel(event) {
    this.touches.delete(event.pointerId);
    if (this.drag?.kind === "paint") this.editor.painter.cancelStroke();
    this.end();
  }

  end() {
    this.drag = null;
    this.frame.classList.remove("sl-dragging");
  }

  // ---- keys

  holdSpace(isHeld) {
    this.isSpaceHeld = isHeld;
    this.frame.classList.toggle("sl-moves", isHeld);
    if (isHeld) this.editor.painter.showRing(null);
  }

  // Answers whether the key was the editor's.
  onKey(event) {
    const { editor } = this, { target } = event;
    if (event.defaultPrevented || !editor.root.checkVisibility() || target.closest("dialog")) return false;
    const isPress = [" ", "Enter"].includes(event.key) && target.closest("button, input, a");
    const isOwn = isPress || isTyped(target) || (target.matches("input") && event.key.startsWith("Arrow"));
    const action = isOwn ? null : this.actionOf(event);
    if (!action) return false;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat || action.isRepeated) action.act();
    return true;
  }

  actionOf(event) {
    const { editor } = this, { key, code, shiftKey } = event, letter = key.length === 1 ? key.toLowerCase() : key;
    const isAlternate = event.getModifierState("AltGraph"); // brackets lie there on many keyboards
    const once = (act) => ({ act }), often = (act) => ({ act, isRepeated: true });
    if ((event.ctrlKey || event.metaKey) && !isAlternate) {
      if (letter === "z") return often(() => (shiftKey ? editor.redo() : editor.undo()));
      return letter === "y" ? often(() => editor.redo()) : null;
    }
    if (event.altKey && !isAlternate) return null;
    if (shiftKey && Object.hasOwn(SHIFTED, code)) return once(() => editor.zoomTo(SHIFTED[code]));
    if (/^[1-9]$/.test(key)) return once(() => editor.chooseFace(Number(key)));
    if (key.startsWith("Arrow")) return this.arrowOf(event, often);
    const actions = { ...this.brushKeys(often), ...this.plainKeys(once) };
    return (shiftKey && /^[a-z]$/.test(letter)) || !Object.hasOwn(actions, letter) ? null : actions[letter];
  }

  arrowOf({ key, shiftKey }, often) {
    const [x, y] = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
    return shiftKey && this.editor.view.zoom ? often(() => this.editor.pan(64 * x, 64 * y)) : null;
  }

  brushKeys(often) {
    const { editor } = this;
    const size = (by) => often(() => editor.setBrush({ size: editor.brush.size * by }));
    const hardness = (by) => often(() => editor.setBrush({ hardness: editor.brush.hardness + by }));
    return { "[": size(1 / GROW), "]": size(GROW), "{": hardness(-0.1), "}": hardness(0.1) };
  }

  plainKeys(once) {
    const { editor } = this, shown = once(() => editor.toggleShown()), empty = once(() => editor.clear());
    const tool = (name) => once(() => editor.setTool(name));
    return {
      v: tool("regions"), b: tool("brush"), e: tool("eraser"), h: shown, "\\": shown, i: once(() => editor.invert()),
      Delete: empty, Backspace: empty, f: once(() => editor.goTo(editor.face)),
      "?": once(() => editor.help.showModal()),
      z: once(() => editor.zoomTo(editor.view.zoom ? 0 : 1)), " ": once(() => this.holdSpace(true)),
      "+": once(() => editor.stepZoom(1)), "=": once(() => editor.stepZoom(1)), "-": once(() => editor.stepZoom(-1)),
      ...(editor.sheet?.stroke ? { Escape: once(() => editor.painter.cancelStroke()) } : {}),
    };
  }
}
