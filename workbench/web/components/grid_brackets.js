// Brackets on the labels of an axis: the guidance window and the step plateau, as findings say them.
// Knows nothing about how they were found. A heading in reach of a bracket gets a line, the middle one a word.

import { make } from "./element.js";

const WORDS = { "guidance-window": "window", "step-plateau": "plateau" };
const AXES = { "guidance-window": "guidance", "step-plateau": "steps" };
const MOST = 2; // lines beside each other on one axis

// The brackets of one axis, at most MOST: {marks: per label null or {isFirst, isLast, isOpen}, word, title, isDashed}.
// `isHeld(name, text)` says how a value that the finding holds fits what is shown: false, true, or "partly".
export function bracketsOn(axis, findings, isHeld) {
  const found = findings.filter(({ kind, state, curves }) =>
    state !== "none" && WORDS[kind] && (curves[0]?.axis ?? AXES[kind]) === axis.name);
  const fitting = found.map((finding) => bracketOf(axis.labels.map(Number), finding, isHeld));
  return fitting.filter((bracket) => bracket?.marks.some(Boolean)).slice(0, MOST);
}

function bracketOf(values, finding, isHeld) {
  const held = [["checkpoint", finding.checkpoint], ...finding.held].map((pair) => [...pair, isHeld(...pair)]);
  if (held.some(([, , fits]) => fits === false)) return null;
  const { low, high, kind, state, sentence } = finding;
  const isIn = (value) => Number.isFinite(value) && (low === null || value >= low) && (high === null || value <= high);
  const inside = values.filter(isIn);
  const isLooseAt = (value) => state === "open"
    && ((low === null && value === Math.min(...inside)) || (high === null && value === Math.max(...inside)));
  const marks = values.map((value, at) => (isIn(value) ? {
    isFirst: !isIn(values[at - 1]), isLast: !isIn(values[at + 1]), isOpen: isLooseAt(value),
  } : null));
  const partly = held.filter(([, , fits]) => fits === "partly")
    .map(([name, text]) => (Number.isNaN(Number(text)) ? text : `${name} ${text}`));
  return { marks, word: [WORDS[kind], ...partly].join(" · "), isDashed: state === "open", title: sentence };
}

// Puts them on headings, which are in the order of the axis's labels; what stood there before goes.
export function drawBrackets(headings, brackets) {
  headings.forEach((heading, at) => {
    for (const old of heading.querySelectorAll(".sl-bracket")) old.remove();
    heading.style.setProperty("--sl-brackets", String(brackets.length));
    heading.append(...brackets.map((bracket, line) => part(bracket, at, line)).filter(Boolean));
  });
}

function part({ marks, word, title, isDashed }, at, line) {
  const mark = marks[at];
  if (!mark) return null;
  const classes = ["sl-bracket", mark.isFirst && "sl-first", mark.isLast && "sl-last", isDashed && "sl-dashed",
    mark.isOpen && "sl-loose"];
  const inside = marks.flatMap((each, index) => (each ? [index] : []));
  const isMiddle = inside[(inside.length - 1) >> 1] === at;
  const element = make("em", { className: classes.filter(Boolean).join(" "), title });
  element.style.setProperty("--sl-line-at", String(line));
  if (isMiddle) element.append(make("b", { text: isDashed ? `${word}, open` : word,
    className: inside.length % 2 ? "" : "sl-even" }));
  return element;
}
