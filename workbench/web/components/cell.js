// What one cell of the grid shows: a picture, a part of it, a preview with its progress, or words.
// Knows nothing about its neighbours.

import { NO_MARK } from "./grid_marks.js";
import { make } from "./element.js";

export const LETTERS = ["A", "B", "C", "D"];
export { NO_MARK };

const SIGNS = { pick: "✓ ", reject: "✕ " };
const PICKS = { pick: "picked", reject: "rejected" };

// A cell's state for people: "live" while it is being made, which only a job that runs can do.
export function stateOf(cell, live) {
  return live ? "live" : cell.state;
}

// `at` is the cell's letter (-1: not selected), `name` its place in words, `live` {step, steps, url} while it is made,
// `rest` the word for what is not made yet, `frame(image, cell)` cuts out the part that is to be seen.
export function fillCell(box, cell, { at, name, mark, live, rest = "waiting", canRetry, frame }) {
  const state = cell ? stateOf(cell, live) : "absent";
  const classes = ["sl-cell", `sl-${state}`];
  if (at >= 0) classes.push("sl-selected");
  if (mark.pick === "reject") classes.push("sl-rejected");
  box.className = classes.join(" ");
  box.ariaSelected = String(at >= 0);
  box.ariaLabel = spokenName(name, cell, state, { at, mark, live, rest });
  const parts = cell ? [contentOf(cell, state, box.querySelector("img"), { live, rest, canRetry, frame })] : [];
  if (cell) parts.push(...overlays(cell, state, mark, live));
  if (at >= 0) parts.push(make("span", { className: "sl-letter", text: LETTERS[at] }));
  box.replaceChildren(...parts);
}

export function signsOf(mark, stars = "★".repeat(mark.stars)) {
  return `${SIGNS[mark.pick] ?? ""}${stars}`.trim();
}

function spokenName(name, cell, state, { at, mark, live, rest }) {
  if (!cell) return `${name}, not part of this sweep`;
  const stars = mark.stars ? `${mark.stars} ${mark.stars === 1 ? "star" : "stars"}` : "";
  const step = state === "live" && live.steps ? `step ${live.step} of ${live.steps}` : "";
  const reason = state === "failed" && cell.reason ? `failed: ${cell.reason}` : worded(state, rest);
  const warning = cell.warning ? `warning: ${cell.warning}` : "";
  const letter = at >= 0 ? `selected as ${LETTERS[at]}` : "";
  return [name, reason, step, stars, PICKS[mark.pick], warning, letter].filter(Boolean).join(", ");
}

// The picture element of before stays, so that the next preview takes its place without a gap.
function contentOf(cell, state, before, { live, rest, canRetry, frame }) {
  if (state !== "done" && !live?.url) return wordsFor(cell, state, { rest, canRetry });
  const image = before ?? make("img", { alt: "", draggable: false, decoding: "async", loading: "lazy" });
  image.onerror = () => image.replaceWith(lines(["picture cannot be read"]));
  const url = state === "done" ? frame(image, cell) : live.url;
  if (state !== "done") image.removeAttribute("style");
  if (image.getAttribute("src") !== url) image.src = url;
  return image;
}

function lines(texts) {
  return make("div", { className: "sl-words" }, ...texts.map((text) => make("span", { text, title: text })));
}

function worded(state, rest) {
  return { live: "being made", waiting: rest }[state] ?? state;
}

function wordsFor(cell, state, { rest, canRetry }) {
  if (state !== "failed") return lines([worded(state, rest)]);
  const words = lines([state, cell.reason].filter(Boolean));
  if (cell.reason) words.lastChild.className = "sl-reason";
  if (canRetry) words.append(make("span", { className: "sl-hint", text: "R runs it again" }));
  return words;
}

function overlays(cell, state, mark, live) {
  const parts = [];
  const pill = (name, text, title = "") => parts.push(make("span", { className: `sl-pill ${name}`, text, title }));
  const hasSteps = state === "live" && live.steps > 0;
  if (hasSteps) {
    pill("sl-number sl-full", `step ${live.step} / ${live.steps}`);
    pill("sl-number sl-short", `${live.step} / ${live.steps}`);
  }
  if (signsOf(mark)) {
    pill("sl-marks sl-full", signsOf(mark));
    pill("sl-marks sl-short", signsOf(mark, mark.stars ? `${mark.stars}★` : "")); // for small cells
  }
  if (cell.warning) pill("sl-warning", "!", cell.warning);
  if (hasSteps) {
    const bar = make("i");
    bar.style.transform = `scaleX(${live.step / live.steps})`;
    parts.push(make("span", { className: "sl-progress" }, bar));
  }
  return parts;
}
