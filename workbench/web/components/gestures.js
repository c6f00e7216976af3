// Wheel, dragging and keys of the viewer. Knows nothing about how anything is drawn: it calls what a viewer can do.

import { choice, make } from "./element.js";

export const SPOTS = [["Face", "face", "f"], ["Cheek", "cheek", "c"], ["Mouth", "mouth", "m"], ["Hands", "hands", "h"]];
const SMALLEST_PX = 6; // a rectangle smaller than this was a click

const clamp = (share) => Math.max(0, Math.min(1, share));

export function watchPointer(viewer) {
  const { stage } = viewer;
  let drag = null, turned = 0;
  const end = () => { drag = null; };
  stage.addEventListener("wheel", (event) => {
    if (!event.target.closest(".sl-frame") || event.ctrlKey) return;
    event.preventDefault();
    turned += event.deltaY;
    if (Math.abs(turned) < 40) return; // a touchpad sends many small turns, a wheel few large ones
    viewer.stepZoom(turned < 0 ? 1 : -1, event);
    turned = 0;
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => {
    const frame = event.target.closest(".sl-frame");
    if (!frame || event.button !== 0) return;
    event.target.setPointerCapture(event.pointerId);
    const kind = event.target === viewer.handle ? "split" : event.shiftKey ? "spot" : "pan";
    drag = { kind, frame, from: [event.clientX, event.clientY], at: [event.clientX, event.clientY] };
    if (kind === "spot") event.preventDefault(); // no text is selected
  });
  stage.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const at = [event.clientX, event.clientY];
    if (drag.kind === "pan") viewer.pan(at[0] - drag.at[0], at[1] - drag.at[1]);
    drag.at = at;
    if (drag.kind === "split") splitAt(viewer, drag);
    if (drag.kind === "spot") drawRectangle(viewer, drag);
  });
  stage.addEventListener("pointerup", () => {
    if (drag?.kind === "spot") nameSpot(viewer, drag);
    end();
  });
  stage.addEventListener("pointercancel", end);
  stage.addEventListener("dblclick", (event) => {
    if (event.target.closest(".sl-frame") && !event.shiftKey) viewer.zoomTo(viewer.view.zoom ? 0 : 1, event);
  });
}

function splitAt(viewer, { frame, at }) {
  const box = frame.getBoundingClientRect();
  viewer.setSplit(clamp((at[0] - box.left) / box.width));
}

// Left, top, width, height in CSS pixels of the frame.
function rectangleOf({ frame, from, at }) {
  const box = frame.getBoundingClientRect();
  const [left, top] = [Math.min(from[0], at[0]) - box.left, Math.min(from[1], at[1]) - box.top];
  return [left, top, Math.abs(from[0] - at[0]), Math.abs(from[1] - at[1])];
}

function drawRectangle(viewer, drag) {
  const [left, top, width, height] = rectangleOf(drag).map((px) => `${px}px`);
  Object.assign(viewer.drawn.style, { left, top, width, height });
  if (viewer.drawn.parentNode !== drag.frame) drag.frame.append(viewer.drawn);
}

// Asks for the rectangle's name; it is kept as shares of the picture that the pane shows.
function nameSpot(viewer, drag) {
  const [left, top, width, height] = rectangleOf(drag);
  const pane = viewer.panes.findIndex((each) => each.frame === drag.frame), picture = viewer.pictures[pane];
  const cancel = () => { viewer.drawn.remove(); naming.remove(); drag.frame.focus(); };
  const naming = make("div", { className: "sl-naming", role: "group", ariaLabel: "Name this place" });
  stageOnly(viewer, naming);
  if (!picture?.size || Math.min(width, height) < SMALLEST_PX) return cancel();
  const [start, end] = [viewer.shareAt(pane, [left, top]), viewer.shareAt(pane, [left + width, top + height])];
  const [x, y, right, bottom] = [...start, ...end].map(clamp);
  const named = (name) => { cancel(); viewer.setSpot(name, [x, y, right - x, bottom - y], picture); };
  naming.append(make("span", { text: "This is the" }), choice("Name", SPOTS.map(([text, name]) => [text, name]), named),
    make("button", { type: "button", text: "Cancel", onclick: cancel }));
  naming.addEventListener("keydown", (event) => {
    if (event.key === "Escape") cancel();
    event.stopPropagation();
  });
  return naming.querySelector("button").focus();
}

function stageOnly(viewer, naming) {
  viewer.stage.querySelector(".sl-naming")?.remove();
  viewer.stage.append(naming);
}

// Whether keys pressed there are text or a choice, and mean nothing else.
export function isTyped(target) {
  const isField = target.closest("textarea, select, dialog, [contenteditable=true]") !== null;
  return isField || target.matches("input:not([type=checkbox], [type=range])");
}

const SHIFTED = { Digit0: 0, Digit1: 1, Digit2: 2, Digit4: 4 };

function actionsOf(viewer, event) {
  const onHandle = event.target === viewer.handle;
  const arrow = (columns, rows) => () => {
    if (onHandle) viewer.setSplit(clamp(viewer.split + 0.02 * (columns - rows)));
    else if (event.shiftKey) viewer.pan(-64 * columns, -64 * rows);
    else viewer.options.onWalk({ pane: viewer.active, columns, rows });
  };
  return {
    ArrowLeft: arrow(-1, 0), ArrowRight: arrow(1, 0), ArrowUp: arrow(0, -1), ArrowDown: arrow(0, 1),
    "+": () => viewer.stepZoom(1), "=": () => viewer.stepZoom(1), "-": () => viewer.stepZoom(-1),
    " ": () => viewer.flicker(true), "?": () => viewer.help.showModal(), ...(event.shiftKey ? {} : letters(viewer)),
  };
}

function letters(viewer) {
  const actions = {
    z: () => viewer.zoomTo(viewer.view.zoom ? 0 : 1), o: () => viewer.swap(), g: () => viewer.nextGain(),
    e: () => viewer.toggleEqual(), b: () => viewer.nextSurround(), w: () => viewer.setMode("slider", true),
    v: () => viewer.setMode("flicker", true), d: () => viewer.setMode("difference", true),
  };
  for (const [, name, key] of SPOTS) actions[key] = () => viewer.goTo(name);
  return actions;
}

// With Shift: digits are zooms, whatever sign the keyboard has there, and a place's letter sets it to what is seen.
function shiftedAction(viewer, { code, key, shiftKey }) {
  if (!shiftKey || /^\d$/.test(key)) return undefined;
  if (Object.hasOwn(SHIFTED, code)) return () => viewer.zoomTo(SHIFTED[code]);
  const spot = SPOTS.find(([, , letter]) => letter === key.toLowerCase());
  const picture = viewer.pictures[viewer.active];
  return spot && picture?.size ? () => viewer.setSpot(spot[1], viewer.seenOf(viewer.active), picture) : undefined;
}

// Answers whether the key was the viewer's.
export function onKey(viewer, event) {
  const { target } = event, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isPress = [" ", "Enter"].includes(key) && target.closest("button, input, a");
  const isOwn = isPress || isTyped(target) || (target.matches("input") && key.startsWith("Arrow"));
  if (isOwn || event.ctrlKey || event.metaKey || event.altKey) return false;
  const actions = actionsOf(viewer, event);
  const action = shiftedAction(viewer, event) ?? (Object.hasOwn(actions, key) ? actions[key] : undefined);
  if (!action) return false;
  event.preventDefault();
  event.stopPropagation();
  if (!event.repeat || key.startsWith("Arrow")) action();
  return true;
}
