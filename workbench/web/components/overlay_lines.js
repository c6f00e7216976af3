// Iso lines over the grid: between two neighbours that lie on either side of a level, in the gap, so that no picture is
// covered. Knows nothing about measures: it gets a table of numbers, levels, and how large cells are.

import { colourOf, shareOf, shortText } from "./overlay_scale.js";

const NS = "http://www.w3.org/2000/svg";
const LABEL = { width: 30, height: 13 }; // pixels of the number on a line
const UPPER = 0.3; // where it stands on a line that runs down: above the numbers of filled cells

// `table[row][column]` is a number or null. Answers [{level, from: [column, row], to: [column, row], count}], where
// corners of cells are counted; `count` levels run through one gap, and the middle one names it.
export function linesOf(table, levels) {
  const found = [];
  const between = (a, b, from, to) => {
    if (!Number.isFinite(a) || !Number.isFinite(b)) return;
    const crossed = levels.filter((level) => Math.min(a, b) < level && level <= Math.max(a, b));
    if (crossed.length) found.push({ level: crossed[crossed.length >> 1], from, to, count: crossed.length });
  };
  table.forEach((values, row) => values.forEach((value, column) => {
    between(value, values[column + 1], [column + 1, row], [column + 1, row + 1]);
    between(value, table[row + 1]?.[column], [column, row + 1], [column + 1, row + 1]);
  }));
  return found;
}

function drawn(tag, attributes, text = "") {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

// `place` {left, top, width, height, gap}: where the first cell begins, how large cells are, in pixels.
export function drawLines(lines, scale, { left, top, width, height, gap }) {
  const at = ([column, row]) => [left + column * (width + gap) - gap / 2, top + row * (height + gap) - gap / 2];
  const svg = drawn("svg", { class: "sl-iso", "aria-hidden": "true" });
  const ground = drawn("g", { class: "sl-iso-ground" }), front = drawn("g", {}), labels = drawn("g", {});
  for (const { level, from, to, count } of lines) {
    const [[x1, y1], [x2, y2]] = [at(from), at(to)], ends = { x1, y1, x2, y2 };
    ground.append(drawn("line", { ...ends, "stroke-width": count > 1 ? 6 : 5 }));
    const stroke = colourOf(shareOf(scale, level));
    front.append(drawn("line", { ...ends, stroke, "stroke-width": count > 1 ? 3 : 2 }));
  }
  for (const { level, from, to } of firstOfEach(lines)) {
    const [[x1, y1], [x2, y2]] = [at(from), at(to)], x = (x1 + x2) / 2, y = y1 + UPPER * (y2 - y1);
    labels.append(drawn("rect", { x: x - LABEL.width / 2, y: y - LABEL.height / 2, ...LABEL, rx: 2 }),
      drawn("text", { x, y: y + 4 }, shortText(level)));
  }
  svg.append(ground, front, labels);
  return svg;
}

function firstOfEach(lines) {
  const first = new Map();
  for (const line of lines) if (!first.has(line.level)) first.set(line.level, line);
  return first.values();
}
