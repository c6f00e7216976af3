// The keys of grid and viewer, as a dialog each. Knows nothing about what the keys do.

import { make } from "./element.js";

export const VIEWER_KEYS = [
  ["z", "fit or 100 %; so does a double click"],
  ["Shift 0 1 2 4", "fit, 100, 200, 400 %"],
  ["+ −", "zoom in and out; the wheel does so at the pointer"],
  ["← ↑ ↓ →", "the next picture along an axis, in the pane that has the focus; zoom and place stay"],
  ["Shift ←", "move the pictures; so does dragging"],
  ["Space", "held: the other picture in the same place"],
  ["w v d", "slider, flicker, difference; again: side by side"],
  ["o", "swap A and B"],
  ["g", "amplify the difference more; after 16 times: once"],
  ["f c m h", "go to face, cheek, mouth, hands"],
  ["Shift f", "call what is seen the face; with c, m, h: cheek, mouth, hands; so does a Shift drag over it"],
  ["e", "show equal settings too, or hide them"],
  ["b", "surround dark, mid, light"],
  ["?", "this list"],
];

const MEASURE_KEYS = [
  ["i", "show a measure on every cell, or the pictures alone"],
  [", .", "the previous and the next measure"],
  ["l k", "lines between cells where a measure steps; fill the cells with its scale"],
];

export const GRID_KEYS = [
  ["← ↑ ↓ →", "walk the cells; Home and End: first and last of the row, with Ctrl of the grid"],
  ["[ ]", "previous and next layer: the axes that run neither across nor down"],
  ["Space Enter", "select the cell as A to D, or take it out"],
  ["Esc", "clear the selection"],
  ["c", "compare: open the cell"],
  ["s", "swap rows and columns"],
  ["0 – 5", "stars"],
  ["p x u", "pick, reject, take the mark back"],
  ["n r", "go to the next failed cell; run it again"],
  ...MEASURE_KEYS,
  ["?", "this list"],
];

const MARK_KEYS = [
  ["0 – 5", "stars"],
  ["p x u", "pick, reject, take the mark back"],
  ["t 1 – 9", "t and then a digit: tick a fault, or take the tick back"],
  ["/", "write a remark; Enter keeps it, Esc leaves it as it was"],
  ["Ctrl z", "undo the last mark"],
];

const COMPARE_GRID = [
  ["← ↑ ↓ →", "walk the cells; Home and End: first and last of the row, with Ctrl of the grid"],
  ["Enter", "show the cell as A to D, or take it out"],
  ["Esc", "clear the selection"],
  ["s", "swap rows and columns"],
  ["[ ]", "previous and next layer"],
  ["Del", "in a pane: take its picture out"],
  ["n r", "go to the next failed cell; run it again"],
  ...MEASURE_KEYS,
];

export const COMPARE_KEYS = [
  ["In the grid", COMPARE_GRID], ["Marks, for the cell or pane that has the focus", MARK_KEYS],
  ["Pictures, wherever the focus is", VIEWER_KEYS],
];

// `keys` are [keys, what they do] pairs, or [heading, such pairs] where there are many.
export function keysHelp(keys) {
  const isParted = Array.isArray(keys[0][1]);
  const parts = isParted ? keys : [["", keys]];
  const title = make("h2", { text: "All keys" });
  const close = make("button", { type: "button", text: "Close", onclick: () => dialog.close() });
  const columns = make("div", { className: isParted ? "sl-columns" : "" }, ...parts.map(partOf));
  const dialog = make("dialog", { ariaLabel: "All keys", className: "sl-keys" }, title, columns, close);
  dialog.addEventListener("keydown", (event) => {
    event.stopPropagation(); // no key reaches the pictures behind
    if (event.key === "?") dialog.close();
  });
  return dialog;
}

function partOf([heading, keys]) {
  const keyOf = (text) => make(text === "–" ? "span" : "kbd", { text });
  const keysOf = (names) => make("dt", {}, ...names.split(" ").map(keyOf));
  const lines = keys.flatMap(([names, text]) => [keysOf(names), make("dd", { text })]);
  return make("section", {}, ...(heading ? [make("h3", { text: heading })] : []), make("dl", {}, ...lines));
}
