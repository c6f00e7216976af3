// The page around grid and panes: values, copying, keys, start. Knows nothing about how either is drawn.
"use strict";

const KEYS = [
  ["← ↑ ↓ →", "walk the cells; in a pane: move the picture"],
  ["Home End", "first and last cell of the row"],
  ["[ ]", "previous and next layer (the axes that run neither across nor down)"],
  ["x", "swap columns and rows"],
  ["n", "next failed cell"],
  ["Space Enter", "select the cell, or take it out; four at most"],
  ["1 – 4", "put the cell in pane A to D"],
  ["c", "compare the selected cells; again: close"],
  ["w", "hide the grid, or show it"],
  ["+ − 0", "zoom in, out, fit; z: fit and 100 %"],
  ["f", "held: every pane shows the next picture in the same place"],
  ["v", "copy all values of the cell"],
  ["Esc", "close, then clear the selection"],
  ["?", "this list"],
  ["!", "on a picture: it was made with a warning, told in its values"],
];

function say(text) {
  $("said").textContent = text;
}

function textOf(cell) {
  const result = cell.state === "done" ? [] : [`${cell.state}${cell.reason ? `: ${cell.reason}` : ""}`];
  const warning = cell.warning ? [`warning: ${cell.warning}`] : [];
  return [...cell.values.map(([label, value]) => `${label}: ${value}`), `key: ${cell.key}`, ...result, ...warning].join("\n");
}

// The clipboard may be refused to a page that is a file; then the old way, then the values to be copied by hand.
async function copy(cell) {
  if (!cell) return say("This place is not part of the sweep.");
  if (await copyText(textOf(cell))) say(`Copied the values of ${nameOf(cell.place) || cell.key}.`);
  else say("Copying is not allowed here; select the values by hand.");
}

async function copyText(text) {
  return (await navigator.clipboard?.writeText(text).then(() => true, () => false)) || copyOldWay(text);
}

function copyOldWay(text) {
  const [field, before] = [make("textarea", { value: text }), document.activeElement];
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  before?.focus();
  return isCopied;
}

function linesOf(cells) {
  const labels = new Set(cells.flatMap((cell) => cell.values.map(([label]) => label)));
  const lines = [...labels].map((label) => [label, cells.map((cell) => new Map(cell.values).get(label))]);
  const more = [
    ["result", (cell) => (cell.reason ? `${cell.state}: ${cell.reason}` : cell.state)],
    ["warning", (cell) => cell.warning || "none"],
    ["key", (cell) => cell.key],
  ];
  return [...lines, ...more.map(([label, of]) => [label, cells.map(of)])];
}

function tableOf(lines, letters) {
  const head = make("tr", {}, make("th"), ...letters.map((text) => make("th", { scope: "col", text })));
  const rows = lines.map(([label, texts]) => {
    const cells = texts.map((text) => make("td", text ? { text } : { className: "empty", text: text === "" ? "empty" : "–" }));
    return make("tr", {}, make("th", { scope: "row", text: label }), ...cells);
  });
  const columns = make("colgroup", {}, make("col", { className: "label" }), ...letters.map(() => make("col")));
  return make("table", {}, columns, make("thead", {}, head), make("tbody", {}, ...rows));
}

// What differs stands open; what is equal in all of them is folded away.
function drawValues() {
  const cells = compare.selected;
  const wasOpen = $("values").querySelector("details")?.open ?? false;
  const lines = linesOf(cells), isEqual = ([, texts]) => texts.every((text) => text === texts[0]);
  if (cells.length === 1) return $("values").replaceChildren(tableOf(lines, ["A"]));
  const differing = lines.filter((line) => !isEqual(line)), equal = lines.filter(isEqual);
  const open = differing.length
    ? tableOf(differing, LETTERS.slice(0, cells.length))
    : make("p", { text: "These places show one and the same picture." });
  const summary = make("summary", { text: `${equal.length} equal values` });
  const common = tableOf(equal.map(([label, texts]) => [label, texts.slice(0, 1)]), ["all"]);
  $("values").replaceChildren(open, make("details", { open: wasOpen }, summary, common));
}

function drawCounts() {
  const count = (state) => data.cells.filter((cell) => cell.state === state).length;
  const items = ["done", "failed", "waiting", "skipped"].filter((state) => count(state)).map((state) => {
    const text = `${count(state)} ${state}`;
    if (state !== "failed") return make("li", {}, make("span", { text }));
    const button = { type: "button", text, title: "Go to the next failed cell (n)", onclick: nextFailed };
    return make("li", {}, make("button", button));
  });
  $("counts").replaceChildren(...items);
}

function swap() {
  setAxes(view.down, view.across);
  focusPlace(view.place);
}

function escape() {
  if (compare.isOpen) return openCompare(false);
  compare.selected.length = 0;
  drawSelection();
}

function toggleWide() {
  if (!compare.isOpen) return;
  compare.isWide = !compare.isWide;
  drawCompare();
}

// Where an arrow key goes: into the picture if a pane has the focus, along the cells otherwise.
function arrow(columns, rows) {
  if (document.activeElement.closest(".view")) pan(-64 * columns, -64 * rows);
  else moveFocus(columns, rows);
}

// The cell that a key means: the one in the focused pane, else the one in the grid.
function meant() {
  const seen = document.activeElement.closest(".view");
  return seen ? compare.selected[Number(seen.dataset.pane)] : focused();
}

const ACTIONS = {
  ArrowLeft: () => arrow(-1, 0), ArrowRight: () => arrow(1, 0), ArrowUp: () => arrow(0, -1), ArrowDown: () => arrow(0, 1),
  Home: () => moveFocus(-1e6, 0), End: () => moveFocus(1e6, 0), "[": () => turnLayer(-1), "]": () => turnLayer(1),
  " ": () => select(meant()), Enter: () => select(meant()), c: () => openCompare(!compare.isOpen),
  w: toggleWide, x: swap, n: nextFailed,
  1: () => put(focused(), 0), 2: () => put(focused(), 1), 3: () => put(focused(), 2), 4: () => put(focused(), 3),
  "+": () => stepZoom(1), "=": () => stepZoom(1), "-": () => stepZoom(-1), 0: () => zoomTo(0),
  z: () => zoomTo(compare.zoom ? 0 : 1),
  f: () => flicker(true), v: () => copy(meant()), Escape: escape, "?": () => $("help").showModal(),
};

// Where a report opens with what was found, keys are the page's own until the grid is in sight or holds the focus.
function isAtGrid() {
  if (!$("told") || $("app").contains(document.activeElement)) return true;
  const { top, bottom } = $("app").getBoundingClientRect();
  return top < innerHeight / 2 && bottom > innerHeight / 2;
}

function onKey(event) {
  const { key, target } = event;
  if (!isAtGrid()) return;
  const isPress = (key === " " || key === "Enter") && target.closest("button");
  const isOwn = isPress || target.closest("select, input, textarea, dialog, summary");
  if (isOwn || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(ACTIONS, key)) return;
  event.preventDefault();
  if (!event.repeat || key.startsWith("Arrow")) ACTIONS[key]();
}

function fillKeys() {
  const keyOf = (text) => make(text === "–" ? "span" : "kbd", { text });
  const lines = KEYS.flatMap(([names, text]) => [make("dt", {}, ...names.split(" ").map(keyOf)), make("dd", { text })]);
  $("keys").replaceChildren(...lines);
  $("help-button").onclick = () => $("help").showModal();
  $("help-close").onclick = () => $("help").close();
  $("help").onkeydown = (event) => { if (event.key === "?") $("help").close(); };
}

function watchTools() {
  for (const [id, taken] of [["columns", "down"], ["rows", "across"]]) {
    $(id).onchange = (event) => {
      const axis = Number(event.target.value), own = taken === "down" ? "across" : "down";
      const next = { across: view.across, down: view.down, [own]: axis };
      if (axis >= 0 && view[taken] === axis) next[taken] = view[own]; // taken from the other side: the two change places
      setAxes(next.across, next.down);
    };
  }
  $("swap").onclick = swap;
  $("size").oninput = (event) => { view.isSizeChosen = true; setSize(Number(event.target.value)); };
  $("compare-button").onclick = () => openCompare(!compare.isOpen);
  $("wide").onclick = toggleWide;
  $("close").onclick = () => openCompare(false);
  const zooms = ZOOMS.map(([text, zoom]) => make("button", { type: "button", text, onclick: () => zoomTo(zoom) }));
  $("zooms").append(...zooms);
}

// What the words above the grid can do with a script: copy a command, open their pictures side by side.
function watchTold() {
  for (const button of document.querySelectorAll("#told .copy")) {
    button.hidden = false;
    button.onclick = async () => {
      const isCopied = await copyText(button.previousElementSibling.textContent);
      button.textContent = isCopied ? "Copied" : "Select it";
    };
  }
  for (const button of document.querySelectorAll("#told .compare")) {
    const cells = button.dataset.keys.split(" ").map((key) => data.cells.find((cell) => cell.key === key)).filter(Boolean);
    button.hidden = !cells.length;
    button.onclick = () => {
      compare.selected.splice(0, 4, ...cells);
      $("app").scrollIntoView();
      view.place = cells[0].place;
      drawGrid();
      openCompare(true);
    };
  }
}

function start() {
  $("title").textContent = data.title;
  $("subtitle").textContent = data.subtitle;
  for (const id of ["columns", "rows", "swap"]) ($(id).closest("label") ?? $(id)).hidden = data.axes.length < 1;
  drawCounts();
  fillKeys();
  watchTools();
  watchPanes();
  setSize(160);
  setAxes(view.across, view.down);
  $("grid").addEventListener("click", (event) => {
    const box = event.target.closest("[data-place]");
    if (!box) return;
    focusPlace(box.dataset.place === "" ? [] : box.dataset.place.split(",").map(Number));
    select(focused());
  });
  document.addEventListener("keydown", onKey);
  document.addEventListener("keyup", (event) => { if (event.key === "f") flicker(false); });
  window.addEventListener("blur", () => flicker(false));
  window.addEventListener("resize", fitSize);
  watchTold();
  if (data.cells.length && !$("told")) focusPlace(view.place);
}

start();
