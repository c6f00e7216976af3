// The keys of the list of runs. Knows nothing about how it is drawn.

const PAGE = 10;
export const SHELF_KEYS = [
  ["/", "search; Esc empties the search, then goes back to the list"],
  ["↑ ↓", "walk the runs; Home, End, Page Up and Page Down too"],
  ["Enter", "open the run in Compare"],
  ["o", "open it in Sweep"],
  ["r", "resume: make what is missing"],
  ["e", "export pictures with sidecars as a zip"],
  ["Delete", "move the run to the trash; it can be undone"],
  ["t", "the trash"],
  ["?", "this list"],
];

const TYPED = "input, textarea, select, dialog, [contenteditable]";
const WALKS = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE, End: 1e6, Home: -1e6 };
const ACTIONS = {
  "/": (shelf) => shelf.tools.text.focus(),
  Enter: (shelf) => shelf.act("onOpen", "compare"),
  o: (shelf) => shelf.act("onOpen", "sweep"),
  r: (shelf) => shelf.act("onResume"),
  e: (shelf) => shelf.act("onExport"),
  Delete: (shelf) => shelf.putAway(),
  t: (shelf) => shelf.showTrash(shelf.trash.root.hidden),
  "?": (shelf) => shelf.help.showModal(),
};
const IN_TRASH = ["t", "?"]; // the others mean a run of the list

export function onKey(shelf, event) {
  const { key, target } = event;
  if (!isOurs(shelf, event) || !(Object.hasOwn(ACTIONS, key) || Object.hasOwn(WALKS, key))) return;
  const isInList = shelf.list.contains(target) || target === document.body;
  if (!shelf.trash.root.hidden && !IN_TRASH.includes(key)) return;
  if ((Object.hasOwn(WALKS, key) || key === "Enter") && !isInList) return;
  event.preventDefault();
  if (Object.hasOwn(WALKS, key)) shelf.walk(WALKS[key]);
  else if (!event.repeat) ACTIONS[key](shelf);
}

// Pressed over the list or what belongs to it, or on the tab's own button, and nowhere where it would be typed or
// means something else.
function isOurs(shelf, event) {
  const { target } = event;
  const scope = shelf.options.scope ?? shelf.root;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return false;
  if (!shelf.root.checkVisibility() || target.closest(TYPED)) return false;
  return target === document.body || scope.contains(target) || Boolean(target.closest("[role=tab]"));
}
