// A curve of a measure along an axis, with the band of its intervals, as a small grey SVG. Knows nothing about runs.
// Steps of the axis stand at equal distances, as the columns of the grid do.

import { numberText, scaleOf, shortText, wordsOf } from "./overlay_scale.js";

const NS = "http://www.w3.org/2000/svg";
const SIZE = { width: 224, height: 112 };
const ROOM = { left: 36, right: 10, top: 10, bottom: 18 };
const INTERVALS = 2.5; // half-intervals beyond the outermost value
const LABEL_PX = 7; // of one character, with some air

function drawn(tag, attributes, ...children) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// `reach` {low, high} is what was found on this axis, null at an end that was not reached, or null; `pick` gets a
// point's keys.
export function chartOf({ measure, points }, { unit = "", reach = null, isOpen = false, pick }) {
  const [low, high] = domainOf(points.map(({ estimate }) => estimate));
  const wide = SIZE.width - ROOM.left - ROOM.right, tall = SIZE.height - ROOM.top - ROOM.bottom;
  const x = (at) => ROOM.left + (points.length > 1 ? at * wide / (points.length - 1) : wide / 2);
  const y = (value) => ROOM.top + tall * (high - Math.max(low, Math.min(high, value))) / (high - low);
  const plot = { points, x, y }, middle = points.map(({ estimate }, at) => [x(at), y(estimate.value)]);
  const svg = drawn("svg", { class: "sl-chart", viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img",
    "aria-label": spoken(measure, unit, points), width: SIZE.width, height: SIZE.height });
  svg.append(...(reach ? reached(plot, reach, isOpen) : []), ...levels({ low, high }, y), ...labels(plot));
  svg.append(drawn("polygon", { class: "sl-band", points: bandOf(plot) }),
    drawn("polyline", { class: "sl-curve", points: middle.map((each) => corner(...each)).join(" ") }),
    ...points.map((point, at) => dot(point, { x: middle[at][0], y: middle[at][1], measure, unit, pick })));
  return svg;
}

// All values, and of the intervals as much as is usual: a wide one, which is cut off, shall not flatten the rest.
function domainOf(estimates) {
  const halves = estimates.map(({ low, high }) => (high - low) / 2).sort((a, b) => a - b);
  const values = estimates.map(({ value }) => value), room = INTERVALS * halves[halves.length >> 1];
  const low = Math.max(Math.min(...estimates.map((each) => each.low)), Math.min(...values) - room);
  const high = Math.min(Math.max(...estimates.map((each) => each.high)), Math.max(...values) + room);
  const more = 0.06 * (high - low) || 0.5;
  return [low - more, high + more];
}

function corner(x, y) { return `${x.toFixed(1)},${y.toFixed(1)}`; }

function bandOf({ points, x, y }) {
  const upper = points.map(({ estimate }, at) => corner(x(at), y(estimate.high)));
  const lower = points.map(({ estimate }, at) => corner(x(at), y(estimate.low)));
  return [...upper, ...lower.reverse()].join(" ");
}

function levels({ low, high }, y) {
  const all = scaleOf([low, high]).levels, some = all.length > 4 ? all.filter((_, at) => at % 2 === 0) : all;
  return some.flatMap((level) => [
    drawn("line", { class: "sl-level", x1: ROOM.left, x2: SIZE.width - ROOM.right, y1: y(level), y2: y(level) }),
    drawn("text", { x: ROOM.left - 5, y: y(level) + 3.5, "text-anchor": "end" }, shortText(level)),
  ]);
}

// Every label that fits, in even steps.
function labels({ points, x }) {
  const longest = Math.max(...points.map(({ label }) => label.length)) * LABEL_PX + 4;
  const each = points.length > 1 ? Math.ceil(longest / (x(1) - x(0))) : 1;
  return points.flatMap(({ label }, at) =>
    (at % each ? [] : [drawn("text", { x: x(at), y: SIZE.height - 5, "text-anchor": "middle" }, label)]));
}

// The ground behind what was found, with a line at each end that was reached.
function reached({ points, x }, { low, high }, isOpen) {
  const inside = points.flatMap(({ at }, place) =>
    ((low === null || at >= low) && (high === null || at <= high) ? [place] : []));
  if (!inside.length) return [];
  const [left, right] = [x(inside[0]), x(inside.at(-1))], [top, bottom] = [ROOM.top - 4, SIZE.height - ROOM.bottom];
  const box = { x: left - 3, width: right - left + 6, y: top, height: bottom - top };
  const ground = drawn("rect", { class: "sl-reach", ...box }), name = `sl-edge${isOpen ? " sl-dashed" : ""}`;
  const edge = (at) => drawn("line", { class: name, x1: at, x2: at, y1: top, y2: bottom });
  return [ground, ...(low === null ? [] : [edge(left - 3)]), ...(high === null ? [] : [edge(right + 3)])];
}

function dot(point, { x, y, measure, unit, pick }) {
  const title = drawn("title", {}, `${wordsOf(measure)} ${told(point)} ${unit}\nOpen its pictures in Compare`);
  const group = drawn("g", { class: "sl-dot" }, title, drawn("circle", { cx: x, cy: y, r: 9, class: "sl-reachable" }),
    drawn("circle", { cx: x, cy: y, r: 2.6 }));
  group.addEventListener("click", () => pick(point.keys));
  return group;
}

function told({ label, estimate: { value, low, high, n } }) {
  return `at ${label}: ${numberText(value)}, ${numberText(low)} to ${numberText(high)} (n ${n})`;
}

function spoken(measure, unit, points) { return `${wordsOf(measure)} in ${unit}, ${points.map(told).join("; ")}`; }

// Where an effect and its interval lie about zero.
export function forestOf({ value, low, high }) {
  const wide = 64, tall = 12, most = Math.max(Math.abs(low), Math.abs(high), Math.abs(value)) * 1.08 || 1;
  const x = (at) => wide / 2 * (1 + at / most);
  const svg = drawn("svg", { class: "sl-forest", width: wide, height: tall, "aria-hidden": "true" });
  svg.append(drawn("line", { class: "sl-zero", x1: wide / 2, x2: wide / 2, y1: 0, y2: tall }),
    drawn("line", { class: "sl-interval", x1: x(low), x2: x(high), y1: tall / 2, y2: tall / 2 }),
    drawn("circle", { cx: x(value), cy: tall / 2, r: 3 }));
  return svg;
}
