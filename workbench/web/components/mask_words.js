// What the mask editor says in words: its keys, a hint for each tool, how much is masked. Knows nothing about drawing.

export const MASK_KEYS = [
  ["Regions", [
    ["1 – 9", "pick a face"],
    ["Click", "add a region; again: take it out; with Alt: take it away from the others"],
    ["↑ ↓ Enter −", "in the list of regions: walk, add, take away"],
    ["f", "zoom onto the face"],
  ]],
  ["Tools", [
    ["v b e", "regions, brush, eraser; Alt turns brush and eraser round while a stroke begins"],
    ["[ ]", "smaller, larger brush"],
    ["{ }", "softer, harder brush"],
    ["Shift click", "a straight line from where the last stroke ended"],
    ["Esc", "take back the stroke that is being painted"],
    ["Ctrl z", "undo; Ctrl Shift z: redo"],
    ["i", "invert: swap inside and outside"],
    ["Del", "empty the mask"],
  ]],
  ["View", [
    ["h \\", "hide the mask, or show it again"],
    ["z", "fit or 100 %"],
    ["Shift 0 1 2 4", "fit, 100, 200, 400 %"],
    ["+ −", "zoom in and out; so do the wheel and two fingers, at the pointer"],
    ["Space", "held: drag the picture; so does the middle button"],
    ["Shift ←", "move the picture"],
    ["?", "this list"],
  ]],
];

const HINTS = {
  regions: "Click a region to add it, again to take it out; Alt-click takes it away from the others.",
  brush: "Drag paints the mask; Shift-click draws a straight line; Space moves the picture.",
  eraser: "Drag takes the mask away; Shift-click draws a straight line; Space moves the picture.",
};

export function hintOf({ sheet, tool, faces }) {
  if (!sheet) return "";
  if (tool !== "regions") return HINTS[tool];
  return faces?.size ? HINTS.regions : "Paint the mask with the brush (b).";
}

// How much of the picture is masked, and by what.
export function keptOf({ isEmpty, share, isPainted }) {
  if (isEmpty) return "Nothing is masked";
  const percent = share < 0.001 ? "less than 0.1" : (share * 100).toFixed(1);
  return `${percent} % of the picture, ${isPainted ? "painted by hand" : "from its regions"}`;
}

// A box [left, top, right, bottom] in pixels as [x, y, width, height], shares of the picture.
export function sharesOf([left, top, right, bottom], [width, height]) {
  return [left / width, top / height, (right - left) / width, (bottom - top) / height];
}
