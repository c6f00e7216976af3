// What one cell of the grid shows: a picture, a preview with its progress, or words.
// Knows nothing about its neighbours.

import { make } from "./element.js";

export const LETTERS = ["A", "B", "C", "D"];
export const NO_MARK = { pick: "", stars: 0 };

const SIGNS = { pick: "✓ ", reject: "✕ " };
const PICKS = { pick: "picked", reject: "rejected" };

// `at` is the cell's letter (-1: not selected), `name` its place in words; `onRatio` hears the height of a picture that
// has loaded as a share of its width.
export function fillCell(box, cell, { at, name, canRetry, onRatio }) {
  const mark = cell?.mark ?? NO_MARK;
  const classes = ["sl-cell", `sl-${cell?.state ?? "absent"}`];
  if (at >= 0) classes.push("sl-selected");
  if (mark.pick === "reject") classes.push("sl-rejected");
  box.className = classes.join(" ");
  box.ariaSelected = String(at >= 0);
  box.ariaLabel = spokenName(name, cell, at, mark);
  const parts = cell ? [pictureOf(cell, box.querySelector("img"), canRetry, onRatio), ...overlays(cell, mark)] : [];
  if (at >= 0) parts.push(make("span", { className: "sl-letter", text: LETTERS[at] }));
  box.replaceChildren(...parts);
}

export function signsOf(mark, stars = "★".repeat(mark.stars)) {
  return `${SIGNS[mark.pick] ?? ""}${stars}`.trim();
}

function spokenName(name, cell, at, mark) {
  if (!cell) return `${name}, not part of this sweep`;
  const stars = mark.stars ? `${mark.stars} ${mark.stars === 1 ? "star" : "stars"}` : "";
  const step = cell.state === "live" && cell.steps ? `step ${cell.step} of ${cell.steps}` : "";
  const warning = cell.warning ? `warning: ${cell.warning}` : "";
  const state = cell.reason ? `${cell.state}: ${cell.reason}` : cell.state;
  const letter = at >= 0 ? `selected as ${LETTERS[at]}` : "";
  return [name, state, step, cell.label, stars, PICKS[mark.pick], warning, letter].filter(Boolean).join(", ");
}

// The picture element of before stays, so that the next preview takes its place without a gap.
function pictureOf(cell, before, canRetry, onRatio) {
  const url = cell.thumb || (cell.state === "done" ? cell.url : "");
  if (!url || cell.state === "failed") return wordsFor(cell, canRetry);
  const image = before ?? make("img", { alt: "", draggable: false, decoding: "async", loading: "lazy" });
  image.onload = () => onRatio(image.naturalHeight / image.naturalWidth);
  image.onerror = () => image.replaceWith(lines(["picture cannot be read"]));
  if (image.getAttribute("src") !== url) image.src = url;
  return image;
}

function lines(texts) {
  return make("div", { className: "sl-words" }, ...texts.map((text) => make("span", { text, title: text })));
}

function wordsFor(cell, canRetry) {
  const words = lines([cell.state, cell.reason].filter(Boolean));
  if (cell.reason) words.lastChild.className = "sl-reason";
  if (cell.state !== "failed" || !canRetry) return words;
  words.append(make("span", { className: "sl-hint", text: "R runs it again" }));
  return words;
}

function overlays(cell, mark) {
  const parts = [];
  const pill = (name, text, title = "") => parts.push(make("span", { className: `sl-pill ${name}`, text, title }));
  const isLive = cell.state === "live" && cell.steps > 0;
  if (isLive) {
    pill("sl-number sl-full", `step ${cell.step} / ${cell.steps}`);
    pill("sl-number sl-short", `${cell.step} / ${cell.steps}`);
  } else if (cell.label) pill("sl-number", cell.label);
  if (signsOf(mark)) {
    pill("sl-marks sl-full", signsOf(mark));
    pill("sl-marks sl-short", signsOf(mark, mark.stars ? `${mark.stars}★` : "")); // for small cells
  }
  if (cell.warning) pill("sl-warning", "!", cell.warning);
  if (isLive) {
    const bar = make("i");
    bar.style.transform = `scaleX(${cell.step / cell.steps})`;
    parts.push(make("span", { className: "sl-progress" }, bar));
  }
  return parts;
}
