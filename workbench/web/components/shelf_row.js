// One run as a row of the list: a strip of pictures, its name, how far it is. Knows nothing about the other rows.

import { make } from "./element.js";
import { bytesText, many, stateOf } from "./shelf_find.js";

// A new row for the list; `fillRow` may be called again whenever the run has changed.
export function rowOf(row) {
  const box = make("div", { className: "sl-run", role: "option", tabIndex: -1, ariaSelected: "false" });
  box.dataset.run = row.run;
  box.append(make("span", { className: "sl-strip" }));
  return box;
}

export function fillRow(box, row) {
  const strip = box.querySelector(".sl-strip");
  const state = stateOf(row);
  box.classList.toggle("sl-broken", Boolean(row.fault));
  box.ariaLabel = spoken(row, state);
  box.replaceChildren(strip, nameOf(row), progressOf(row, state), starsOf(row.stars),
    make("span", { className: "sl-bytes", text: bytesText(row.bytes) }), dateOf(row));
}

export function fillStrip(box, thumbs) {
  const strip = box.querySelector(".sl-strip");
  strip.replaceChildren(...thumbs.map((src) => {
    const image = make("img", { alt: "", draggable: false, decoding: "async", loading: "lazy" });
    image.onerror = () => image.remove();
    image.src = src;
    return image;
  }));
  if (!thumbs.length) strip.append(make("span", { className: "sl-none", text: "no picture yet" }));
}

function nameOf({ name, run, checkpoints, texts, fault }) {
  const text = fault || [checkpoints.join(", "), texts[0]].filter(Boolean).join(" · ");
  const small = make("small", { text, title: text });
  return make("span", { className: "sl-two" }, make("b", { text: name, title: run }), small);
}

function progressOf({ fault, progress: { cells, done, failed } }, { word, more }) {
  const count = fault || !cells ? "" : `${done} of ${cells}`;
  const first = make("span", { className: "sl-count" }, make("b", { text: count || word }));
  if (failed) first.append(make("span", { className: "sl-badge", text: `${failed} failed` }));
  if (count && done < cells) first.append(bar(done / cells));
  return make("span", { className: "sl-two" }, first,
    make("small", { text: count ? [word, more].filter(Boolean).join(": ") : "", title: more }));
}

export function bar(share) {
  const filled = make("i");
  filled.style.width = `${100 * share}%`;
  return make("span", { className: "sl-bar", ariaHidden: "true" }, filled);
}

function starsOf(stars) {
  return make("span", { className: "sl-stars", text: "★".repeat(stars) });
}

function dateOf({ date, last }) {
  const day = make("span", { text: date || "no date" });
  return make("span", { className: "sl-two sl-date" }, day, make("small", { text: clock(last) }));
}

// The last line of the journal is UTC; a person wants the clock on the wall.
function clock(at) {
  const time = new Date(at);
  return isNaN(time) ? "" : time.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

function spoken({ name, date, checkpoints, stars, bytes, progress: { cells, done, failed } }, { word, more }) {
  const parts = [name, date, checkpoints.join(", "), cells ? `${done} of ${cells} pictures` : "", word, more];
  if (failed) parts.push(`${failed} failed`);
  if (stars) parts.push(`best has ${many(stars, "star")}`);
  return [...parts, bytesText(bytes)].filter(Boolean).join(", ");
}
