// A guidance window or a step plateau drawn small, with the settings of the note on it. Knows nothing about notes.
// What is not known is dashed; words and shapes tell all, so that no colour has to.

const WIDE = 330, HIGH = 40, LEFT = 6, RIGHT = 324, LINE = 24;
const SVG = "http://www.w3.org/2000/svg";

function draw(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// `low` and `high` are null where that end is open; `below` and `above` say what lies there, `marks` are numbers.
export function scaleOf({ label, low, high, below, above, marks, least }) {
  const known = [low, high, ...marks].filter((each) => each !== null);
  const end = Math.max(least, Math.ceil(Math.max(0, ...known) * 1.4));
  const at = (value) => LEFT + (RIGHT - LEFT) * value / end;
  const svg = draw("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, width: WIDE, height: HIGH, role: "img", "aria-label": label,
    class: "sl-note-scale" });
  svg.append(draw("path", { d: `M${LEFT} ${LINE}H${RIGHT}`, class: "sl-scale-axis" }));
  const isKnown = low !== null || high !== null;
  if (isKnown) svg.append(...band({ low, high, at, end }), ...sides({ low, high, below, above, at }));
  for (const value of ticks(end)) {
    svg.append(draw("path", { d: `M${at(value)} ${LINE}v3`, class: "sl-scale-axis" }),
      draw("text", { x: at(value), y: HIGH - 3, "text-anchor": anchor(value, end) }, String(value)));
  }
  for (const value of new Set(marks)) {
    svg.append(draw("path", { d: `M${at(value)} ${LINE - 2}l-4 -8h8z`, class: "sl-scale-mark" }));
  }
  return svg;
}

function band({ low, high, at, end }) {
  const from = at(low ?? 0), to = at(high ?? end);
  const edge = (x, isKnown) =>
    draw("path", { d: `M${x} ${LINE - 9}v14`, class: isKnown ? "sl-scale-edge" : "sl-scale-open" });
  return [draw("rect", { x: from, y: LINE - 5, width: Math.max(2, to - from), height: 6, class: "sl-scale-band" }),
    edge(from, low !== null), edge(to, high !== null)];
}

// Words where there is room for them.
function sides({ low, high, below, above, at }) {
  const words = [];
  const room = (text) => text.length * 6 + 12;
  if (low !== null && below && at(low) - LEFT > room(below)) {
    words.push(draw("text", { x: at(low) - 6, y: LINE - 8, "text-anchor": "end" }, below));
  }
  if (high !== null && above && RIGHT - at(high) > room(above)) {
    words.push(draw("text", { x: at(high) + 6, y: LINE - 8 }, above));
  }
  return words;
}

// About five round numbers from 0 on.
function ticks(end) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200].find((each) => end / each <= 6) ?? 500;
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, index) => index * step);
}

function anchor(value, end) { return value === 0 ? "start" : value === end ? "end" : "middle"; }
