// The keys of grid and viewer, as a dialog each. Knows nothing about what the keys do.

import { make } from "./element.js";

export const VIEWER_KEYS = [
  ["1 2 3 4", "fit, 100, 200, 400 %"],
  ["+ −", "zoom in and out; the wheel does so at the pointer, a double click between fit and 100 %"],
  ["← ↑ ↓ →", "the next picture along an axis, in the pane that has the focus; zoom and place stay"],
  ["Shift ←", "move the pictures; so does dragging"],
  ["Space", "held: the other picture in the same place"],
  ["s w v d", "side by side, slider, flicker, difference"],
  ["x", "swap A and B"],
  ["g", "amplify the difference more; after 16 times: once"],
  ["f c m h", "go to face, cheek, mouth, hands"],
  ["Shift drag", "draw a rectangle and name it face, cheek, mouth or hands"],
  ["e", "show equal settings too, or hide them"],
  ["b", "surround dark, mid, light"],
  ["?", "this list"],
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
  ["?", "this list"],
];

export function keysHelp(keys) {
  const keyOf = (text) => make(text === "–" ? "span" : "kbd", { text });
  const keysOf = (names) => make("dt", {}, ...names.split(" ").map(keyOf));
  const lines = keys.flatMap(([names, text]) => [keysOf(names), make("dd", { text })]);
  const close = make("button", { type: "button", text: "Close", onclick: () => dialog.close() });
  const title = make("h2", { text: "All keys" });
  const dialog = make("dialog", { ariaLabel: "All keys" }, title, make("dl", {}, ...lines), close);
  dialog.addEventListener("keydown", (event) => {
    event.stopPropagation(); // no key reaches the pictures behind
    if (event.key === "?") dialog.close();
  });
  return dialog;
}
