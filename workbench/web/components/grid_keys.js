// Keys and pointer of the grid. Knows nothing about how anything is drawn: it only calls what a grid can do.

import { NO_MARK } from "./grid_marks.js";

function actionsOf(grid, event) {
  const { place } = grid.view, cell = grid.cells.get(place.join());
  const all = Number.MAX_SAFE_INTEGER, rows = event.ctrlKey ? all : 0;
  const walk = (columns, down) => () => grid.focus(grid.neighbour(place, columns, down));
  const pick = (name) => () => grid.mark({ pick: grid.marks.of(cell?.key).pick === name ? "none" : name });
  const actions = {
    ArrowLeft: walk(-1, 0), ArrowRight: walk(1, 0), ArrowUp: walk(0, -1), ArrowDown: walk(0, 1),
    Home: walk(-all, -rows), End: walk(all, rows), "[": () => grid.turnLayer(-1), "]": () => grid.turnLayer(1),
    Enter: () => grid.select(place.join()), " ": () => grid.select(place.join()), c: () => cell && grid.open(cell),
    Escape: () => grid.clear(), s: () => { grid.swap(); grid.focus(place); }, n: () => grid.nextFailed(),
    p: pick("pick"), x: pick("reject"), u: () => grid.mark(NO_MARK),
    i: () => grid.overlay.toggle(), ",": () => grid.overlay.step(-1), ".": () => grid.overlay.step(1),
    l: () => grid.overlay.setLines(), k: () => grid.overlay.setFilled(),
    "?": () => grid.help.showModal(), r: () => cell?.state === "failed" && grid.options.onRetry?.(cell),
  };
  for (const stars of [0, 1, 2, 3, 4, 5]) actions[stars] = () => grid.mark({ stars });
  return actions;
}

function onKey(grid, event) {
  const { key } = event, actions = actionsOf(grid, event);
  const isPlain = !event.altKey && !event.metaKey && (!event.ctrlKey || key === "Home" || key === "End");
  if (!isPlain || !event.target.closest(".sl-cell") || !Object.hasOwn(actions, key)) return;
  event.preventDefault();
  event.stopPropagation();
  if (!event.repeat || key.startsWith("Arrow")) actions[key]();
}

export function watchTable(grid) {
  const { table } = grid;
  table.addEventListener("click", (event) => {
    const box = event.target.closest(".sl-cell");
    if (!box) return;
    grid.focus(grid.placeOf(box));
    if (event.detail < 2) grid.select(box.dataset.place);
  });
  table.addEventListener("dblclick", (event) => {
    const cell = grid.cells.get(event.target.closest(".sl-cell")?.dataset.place);
    if (cell) grid.open(cell);
  });
  table.addEventListener("keydown", (event) => onKey(grid, event));
}
