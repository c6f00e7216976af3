// Up to four cells side by side: one zoom and one point of the picture for all panes. Knows nothing about axes.
"use strict";

const LETTERS = ["A", "B", "C", "D"];
const ZOOMS = [["Fit", 0], ["100", 1], ["200", 2], ["400 %", 4]];
const BAR_PX = 28, GAP_PX = 4, MAP_PX = 84;

// `zoom` is device pixels per picture pixel, 0 = fit; `u`, `v` is the point in the middle, as shares of the picture.
const compare = { selected: [], isOpen: false, isWide: false, zoom: 0, u: 0.5, v: 0.5, isFlickering: false };

function select(cell, at = compare.selected.indexOf(cell)) {
  const { selected } = compare;
  if (!cell) return say("This place is not part of the sweep.");
  if (at >= 0) selected.splice(at, 1);
  else if (selected.length < 4) selected.push(cell);
  else {
    selected[3] = cell;
    say("Four at most: D is now this cell.");
  }
  drawSelection();
}

// Put a cell into pane 1 to 4; a pane further on than the next free one is the next free one.
function put(cell, pane) {
  if (!cell) return say("This place is not part of the sweep.");
  const { selected } = compare;
  const other = selected.indexOf(cell);
  const at = Math.min(pane, other >= 0 ? selected.length - 1 : selected.length);
  if (other >= 0) selected[other] = selected[at];
  selected[at] = cell;
  say(`${nameOf(cell.place)} is ${LETTERS[at]}.`);
  drawSelection();
}

function drawSelection() {
  for (const box of $("grid").querySelectorAll("[data-place]")) {
    const at = compare.selected.indexOf(cellAt.get(box.dataset.place));
    box.querySelector(".letter")?.remove();
    box.classList.toggle("selected", at >= 0);
    box.ariaSelected = String(at >= 0);
    if (at >= 0) box.append(make("span", { className: "letter", text: LETTERS[at] }));
  }
  drawCompare();
}

function openCompare(isOpen) {
  if (isOpen && !compare.selected.length && focused()) compare.selected.push(focused());
  compare.isOpen = isOpen;
  drawSelection();
  fitSize();
  if ($("grid").offsetParent) focusPlace(view.place);
  else $("panes").querySelector(".view").focus();
}

function drawCompare() {
  const isOpen = compare.isOpen && compare.selected.length > 0;
  compare.isOpen = isOpen;
  $("compare").hidden = !isOpen;
  document.querySelector("main").className = isOpen ? (compare.isWide ? "split wide" : "split") : "";
  $("compare-button").ariaPressed = String(isOpen);
  $("wide").ariaPressed = String(compare.isWide);
  if (!isOpen) return;
  drawPanes();
  drawValues();
  layOut();
}

// What sets the selected cells apart in the grid: the axes along which they differ, or all for a single one.
function shortName(cell) {
  const axes = [...data.axes.keys()];
  const differing = axes.filter((axis) => compare.selected.some((other) => other.place[axis] !== cell.place[axis]));
  return nameOf(cell.place, differing.length ? differing : axes);
}

function barOf(cell, pane) {
  const button = { className: "plain", type: "button" };
  return make("div", { className: "bar" },
    make("span", { className: "letter" }),
    make("span", { className: "what" }),
    make("button", { ...button, text: "Copy", title: "Copy all values of this cell (v)", onclick: () => copy(cell) }),
    make("button", { ...button, text: "×", ariaLabel: `Take ${LETTERS[pane]} out`, onclick: () => select(cell, pane) }));
}

// Every pane holds all pictures and shows one of them, so that flicker swaps without loading anything.
function drawPanes() {
  const keep = document.activeElement?.closest?.(".view")?.dataset.pane;
  $("panes").replaceChildren(...compare.selected.map((cell, pane) => {
    const seen = make("div", { className: "view", tabIndex: 0, role: "img" });
    seen.dataset.pane = pane;
    seen.append(...compare.selected.map((each) => pictureOf(each, (image) => {
      image.replaceWith(wordsFor(each, "damaged"));
      layOut();
    }, false)));
    return make("div", { className: "pane" }, barOf(cell, pane), seen);
  }));
  if (keep !== undefined) $("panes").querySelector(`[data-pane="${keep}"]`)?.focus();
}

// Panes begin and end where a whole CSS pixel meets a whole device pixel (every 4th at 125 %), because the browser rounds
// to the one or the other; then the screen shows the file's own pixels at any scaling of the display.
const devicePx = (px) => Math.round(px * devicePixelRatio);
const isWhole = (px) => Math.abs(px * devicePixelRatio - devicePx(px)) < 0.01;
const unitPx = () => Array.from({ length: 20 }, (_, i) => i + 1).find(isWhole) ?? 1;
const upTo = (px, unit) => Math.ceil(px / unit) * unit;

// The number of columns that shows the pictures largest.
function paneSize() {
  const box = $("panes").getBoundingClientRect(), unit = unitPx();
  const [gap, bar] = [upTo(GAP_PX, unit), upTo(BAR_PX, unit)];
  const [x, y] = [upTo(box.left, unit) - box.left, upTo(box.top, unit) - box.top];
  const share = (room, count) => Math.max(unit, Math.floor((room + gap) / count / unit) * unit - gap);
  const count = compare.selected.length;
  const [w, h] = compare.selected.find((cell) => cell.size)?.size ?? [1, 1];
  const fits = LETTERS.slice(0, count).map((_, i) => {
    const columns = i + 1, rows = Math.ceil(count / columns);
    const [width, height] = [share(box.width - x, columns), share(box.height - y, rows)];
    return { x, y, gap, bar, columns, width, height, scale: Math.min(width / w, (height - bar) / h) };
  });
  return fits.reduce((best, fit) => (fit.scale > best.scale ? fit : best));
}

const scaleFor = ([w, h], width, height) => compare.zoom || Math.min(width / w, height / h);

function layOut() {
  const { x, y, gap, bar, columns, width, height } = paneSize();
  const inside = [devicePx(width), devicePx(height - bar)];
  keepInside(...inside);
  for (const [pane, element] of [...$("panes").children].entries()) {
    const seen = element.querySelector(".view");
    const at = (pane + (compare.isFlickering ? 1 : 0)) % compare.selected.length;
    const [left, top] = [x + (pane % columns) * (width + gap), y + Math.floor(pane / columns) * (height + gap)];
    Object.assign(element.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    seen.style.top = `${bar}px`;
    element.querySelector(".letter").textContent = LETTERS[at];
    element.querySelector(".what").textContent = shortName(compare.selected[at]);
    layOutView(seen, at, ...inside);
  }
  for (const [i, button] of [...$("zooms").children].entries()) button.ariaPressed = String(ZOOMS[i][1] === compare.zoom);
}

// Width and height of a view are device pixels from here on.
function layOutView(seen, at, width, height) {
  seen.classList.toggle("exact", compare.zoom >= 1);
  seen.classList.toggle("pans", compare.zoom >= 1);
  const zoom = compare.zoom ? `${compare.zoom * 100} %` : "fit";
  seen.ariaLabel = `${LETTERS[at]}: ${nameOf(compare.selected[at].place)}, ${zoom}`;
  for (const [i, element] of [...seen.querySelectorAll("img, .words")].entries()) {
    element.classList.toggle("shown", i === at);
    if (element.tagName === "IMG") element.style.transform = transformFor(compare.selected[i].size, width, height);
  }
  drawMap(seen, compare.selected[at], width, height);
}

function transformFor(size, width, height) {
  const scale = scaleFor(size, width, height);
  const x = Math.round(width / 2 - compare.u * size[0] * scale), y = Math.round(height / 2 - compare.v * size[1] * scale);
  return `translate(${x / devicePixelRatio}px, ${y / devicePixelRatio}px) scale(${scale / devicePixelRatio})`;
}

// Half of the pane, as a share of the picture; 0.5 and more where the whole picture fits.
function halves(size, width, height) {
  const scale = scaleFor(size, width, height);
  return [width / (2 * scale * size[0]), height / (2 * scale * size[1])];
}

function keepInside(width, height) {
  const sizes = compare.selected.filter((cell) => cell.size).map((cell) => halves(cell.size, width, height));
  if (!sizes.length) return;
  const clamp = (at, half) => (half >= 0.5 ? 0.5 : Math.max(half, Math.min(1 - half, at)));
  compare.u = clamp(compare.u, Math.min(...sizes.map(([half]) => half)));
  compare.v = clamp(compare.v, Math.min(...sizes.map(([, half]) => half)));
}

// A small picture with the region that is seen, where that is not all of it; in the first pane only.
function drawMap(seen, cell, width, height) {
  seen.querySelector(".map")?.remove();
  if (seen.dataset.pane !== "0" || !cell.size || !compare.zoom) return;
  const half = halves(cell.size, width, height).map((share) => Math.min(0.5, share));
  if (half[0] >= 0.5 && half[1] >= 0.5) return;
  const h = MAP_PX, w = Math.round((h * cell.size[0]) / cell.size[1]);
  const region = make("i"), map = make("div", { className: "map" }, region);
  Object.assign(map.style, { width: `${w}px`, height: `${h}px`, backgroundImage: `url("${cell.picture}")` });
  Object.assign(region.style, {
    left: `${(compare.u - half[0]) * w}px`,
    top: `${(compare.v - half[1]) * h}px`,
    width: `${2 * half[0] * w}px`,
    height: `${2 * half[1] * h}px`,
  });
  seen.append(map);
}

function zoomTo(zoom, seen = null, event = null) {
  const size = compare.selected.find((cell) => cell.size)?.size;
  if (!compare.isOpen || !size) return;
  const box = (seen ?? $("panes").querySelector(".view")).getBoundingClientRect();
  const [width, height] = [devicePx(box.width), devicePx(box.height)];
  const middle = [box.left + box.width / 2, box.top + box.height / 2];
  const aim = event ? [event.clientX - middle[0], event.clientY - middle[1]].map(devicePx) : [0, 0];
  const before = scaleFor(size, width, height);
  compare.zoom = zoom;
  const after = scaleFor(size, width, height);
  compare.u += (aim[0] / before - aim[0] / after) / size[0]; // the point under the pointer stays there
  compare.v += (aim[1] / before - aim[1] / after) / size[1];
  layOut();
}

function stepZoom(by, seen = null, event = null) {
  const at = ZOOMS.findIndex(([, zoom]) => zoom === compare.zoom) + by;
  if (ZOOMS[at]) zoomTo(ZOOMS[at][1], seen, event);
}

function pan(dx, dy) {
  const size = compare.selected.find((cell) => cell.size)?.size;
  if (!compare.zoom || !size) return;
  compare.u -= (dx * devicePixelRatio) / (compare.zoom * size[0]);
  compare.v -= (dy * devicePixelRatio) / (compare.zoom * size[1]);
  layOut();
}

function flicker(isOn) {
  if (compare.isFlickering === isOn || !compare.isOpen || compare.selected.length < 2) return;
  compare.isFlickering = isOn;
  layOut();
}

function watchPanes() {
  const panes = $("panes");
  let from = null, turned = 0, hasMoved = false;
  panes.addEventListener("wheel", (event) => {
    const seen = event.target.closest(".view");
    if (!seen || event.ctrlKey) return;
    event.preventDefault();
    turned += event.deltaY;
    if (Math.abs(turned) < 40) return; // a touchpad sends many small turns, a wheel few large ones
    stepZoom(turned < 0 ? 1 : -1, seen, event);
    turned = 0;
  }, { passive: false });
  panes.addEventListener("pointerdown", (event) => {
    const seen = event.target.closest(".view");
    if (!seen || event.button !== 0) return;
    seen.setPointerCapture(event.pointerId);
    [from, hasMoved] = [[event.clientX, event.clientY], false];
  });
  panes.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    hasMoved ||= Math.hypot(dx, dy) > 3;
    if (!hasMoved) return;
    pan(dx, dy);
    from = [event.clientX, event.clientY];
  });
  panes.addEventListener("pointerup", (event) => {
    if (from && !hasMoved) zoomTo(compare.zoom ? 0 : 1, event.target.closest(".view"), event);
    from = null;
  });
  panes.addEventListener("pointercancel", () => { from = null; });
  new ResizeObserver(() => { if (compare.isOpen) layOut(); }).observe(panes);
}
