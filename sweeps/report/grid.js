// The grid: which axes run across and down, which layer is shown, where the focus is. Knows nothing about comparing.
// All text enters by textContent, so that a prompt with markup in it stays a prompt.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const cellAt = new Map(data.cells.map((cell) => [cell.place.join(), cell]));

// `place` is the focused cell, an index per axis; the layer shown is all cells that differ from it across and down only.
const view = {
  across: data.axes.length > 0 ? 0 : -1,
  down: data.axes.length > 1 ? 1 : -1,
  place: data.axes.map(() => 0),
  isSizeChosen: false,
};

function make(tag, { text, ...rest } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(rest)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

const labelsOf = (axis) => (axis < 0 ? [""] : data.axes[axis].labels);
const focused = () => cellAt.get(view.place.join());

function placeAt(column, row) {
  const place = [...view.place];
  if (view.across >= 0) place[view.across] = column;
  if (view.down >= 0) place[view.down] = row;
  return place;
}

function nameOf(place, axes = data.axes.keys()) {
  return [...axes].map((axis) => `${data.axes[axis].name} ${data.axes[axis].labels[place[axis]]}`).join(" · ");
}

// Words for a cell without a picture; also what takes the place of one that does not load.
function wordsFor(cell, state = cell.state) {
  const isDamaged = state === "damaged";
  const name = make("b", { text: isDamaged ? "picture cannot be read" : state });
  const words = make("div", { className: `words ${state}` }, name);
  const reason = isDamaged ? cell.picture : cell.reason;
  if (reason) words.append(make("span", { text: reason, title: reason }));
  return words;
}

function pictureOf(cell, onDamage, lazy) {
  if (!cell.picture || !cell.size) return wordsFor(cell, cell.state === "done" ? "damaged" : cell.state);
  const [width, height] = cell.size;
  const image = make("img", { alt: "", decoding: lazy ? "async" : "sync", width, height, draggable: false });
  if (lazy) image.loading = "lazy";
  image.onerror = () => onDamage(image);
  image.src = cell.picture;
  return image;
}

function buildCell(column, row) {
  const place = placeAt(column, row);
  const cell = cellAt.get(place.join());
  const box = make("div", { role: "gridcell", tabIndex: -1 });
  box.dataset.place = place.join();
  if (cell) {
    box.append(pictureOf(cell, (image) => image.replaceWith(wordsFor(cell, "damaged")), true));
    if (cell.warning && cell.picture) box.append(make("span", { className: "badge", text: "!", title: cell.warning }));
    const reason = cell.reason ? `: ${cell.reason}` : "";
    box.ariaLabel = `${nameOf(place)}, ${cell.state}${reason}${cell.warning ? `, warning: ${cell.warning}` : ""}`;
  } else box.ariaLabel = `${nameOf(place)}, not part of this sweep`;
  return make("td", { role: "presentation" }, box);
}

function header(label, scope) {
  const text = make("span", { text: label, title: label, className: label.length <= 24 ? "short" : "" });
  return make("th", { scope, role: scope === "col" ? "columnheader" : "rowheader" }, text);
}

function drawGrid() {
  const names = [];
  if (view.across >= 0) names.push(`${data.axes[view.across].name} →`);
  if (view.down >= 0) names.push(`${data.axes[view.down].name} ↓`);
  const corner = make("th", { className: "corner" }, ...names.map((text) => make("span", { text, title: text })));
  const columns = labelsOf(view.across).map((label) => header(label, "col"));
  const rows = labelsOf(view.down).map((label, row) => {
    const cells = labelsOf(view.across).map((_, column) => buildCell(column, row));
    return make("tr", { role: "row" }, header(label, "row"), ...cells);
  });
  const head = make("thead", {}, make("tr", { role: "row" }, corner, ...columns));
  $("grid").replaceChildren(head, make("tbody", {}, ...rows));
  fitSize();
  drawLayers();
  drawFocus();
}

function drawFocus() {
  const here = view.place.join();
  for (const box of $("grid").querySelectorAll("[data-place]")) box.tabIndex = box.dataset.place === here ? 0 : -1;
  for (const head of $("grid").querySelectorAll(".here")) head.classList.remove("here");
  if (view.across >= 0) $("grid").tHead.rows[0].cells[view.place[view.across] + 1].classList.add("here");
  if (view.down >= 0) $("grid").tBodies[0].rows[view.place[view.down]].cells[0].classList.add("here");
}

function focusPlace(place) {
  const isFurther = (axis) => axis !== view.across && axis !== view.down;
  const isOtherLayer = place.some((at, axis) => at !== view.place[axis] && isFurther(axis));
  view.place = place;
  if (isOtherLayer) drawGrid();
  else drawFocus();
  const box = $("grid").querySelector("[tabindex='0']");
  box.focus({ preventScroll: true });
  box.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function moveFocus(columns, rows) {
  const clamp = (at, axis) => Math.max(0, Math.min(labelsOf(axis).length - 1, at));
  focusPlace(placeAt(
    clamp((view.across < 0 ? 0 : view.place[view.across]) + columns, view.across),
    clamp((view.down < 0 ? 0 : view.place[view.down]) + rows, view.down),
  ));
}

// The last further axis turns first, like the digits of a number; past the end it begins again.
function turnLayer(by) {
  const place = [...view.place];
  for (let axis = data.axes.length - 1; axis >= 0; axis--) {
    if (axis === view.across || axis === view.down) continue;
    const count = labelsOf(axis).length;
    place[axis] = (place[axis] + by + count) % count;
    if (place[axis] !== (by > 0 ? 0 : count - 1)) break;
  }
  focusPlace(place);
}

function nextFailed() {
  const order = data.cells.filter((cell) => cell.state === "failed");
  if (!order.length) return;
  const here = order.indexOf(focused());
  focusPlace([...order[(here + 1) % order.length].place]);
}

// Lines that fit into a cell are counted here, because CSS cannot.
function setSize(pixels) {
  const style = document.documentElement.style;
  const sizes = data.cells.filter((cell) => cell.size).map((cell) => cell.size);
  const ratio = sizes.length ? Math.max(...sizes.map(([width, height]) => height / width)) : 1;
  style.setProperty("--cell", `${pixels}px`);
  style.setProperty("--ratio", ratio);
  style.setProperty("--lines", Math.max(1, Math.floor((pixels * ratio - 34) / 17)));
  $("size").value = pixels;
  $("size").ariaValueText = `${pixels} pixels`;
}

// Until someone chooses a size, all columns fit the window.
function fitSize() {
  if (view.isSizeChosen || !$("grid-area").clientWidth) return;
  const labels = $("grid").tBodies[0].rows[0].cells[0].offsetWidth;
  const room = ($("grid-area").clientWidth - labels - 24) / labelsOf(view.across).length - 4;
  setSize(Math.max(80, Math.min(320, Math.floor(room / 8) * 8)));
}

function drawLayers() {
  const further = [...data.axes.keys()].filter((axis) => axis !== view.across && axis !== view.down);
  $("layers").replaceChildren(...further.map((axis) => {
    const { name, labels } = data.axes[axis];
    const isShort = labels.length <= 6 && labels.join("").length <= 48;
    const turn = (at) => { view.place = view.place.with(axis, Number(at)); drawGrid(); drawSelection(); };
    const choice = isShort ? choiceOf(labels, view.place[axis], turn, name) : selectOf(labels, view.place[axis], turn);
    return make(isShort ? "span" : "label", { className: "layer" }, make("span", { text: name }), choice);
  }));
}

function choiceOf(labels, chosen, turn, name) {
  const press = (at) => {
    turn(at);
    const again = [...document.querySelectorAll("#layers [role=group]")].find((group) => group.ariaLabel === name);
    again?.children[at].focus();
  };
  const buttons = labels.map((text, at) =>
    make("button", { type: "button", text, ariaPressed: String(at === chosen), onclick: () => press(at) }));
  return make("span", { className: "choice", role: "group", ariaLabel: name }, ...buttons);
}

function selectOf(labels, chosen, turn) {
  const options = labels.map((text, at) => make("option", { text, value: at, selected: at === chosen }));
  return make("select", { onchange: (event) => turn(event.target.value) }, ...options);
}

function setAxes(across, down) {
  Object.assign(view, { across, down });
  for (const [id, chosen] of [["columns", across], ["rows", down]]) {
    const choices = [...data.axes.map(({ name }, axis) => [name, axis]), ["none", -1]];
    $(id).replaceChildren(...choices.map(([text, value]) => make("option", { text, value, selected: value === chosen })));
  }
  drawGrid();
  drawSelection();
}
