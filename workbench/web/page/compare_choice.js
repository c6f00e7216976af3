// Which pictures of a run tell most side by side, and which comes next. Knows nothing about elements or routes.
// A cell: {place, key, state}; axes: [{name, labels}].

const TELLING = ["checkpoint", "guidance", "steps"]; // what changes skin most, first

// Two cells that differ in one axis only, as far apart on it as there are pictures; one or none if there are no two.
export function telling(axes, cells) {
  const done = cells.filter(({ state }) => state === "done");
  const rank = ({ name }) => (TELLING.includes(name) ? TELLING.indexOf(name) : TELLING.length);
  const order = [...axes.keys()].sort((one, other) => rank(axes[one]) - rank(axes[other]));
  for (const axis of order) {
    const widest = widestAlong(axis, done);
    if (widest) return widest;
  }
  return done.slice(0, 1);
}

function widestAlong(axis, done) {
  const lines = new Map(); // the place without this axis -> its cells
  for (const cell of done) {
    const rest = cell.place.with(axis, 0).join();
    lines.set(rest, [...(lines.get(rest) ?? []), cell]);
  }
  const ends = [...lines.values()].map((line) => {
    const sorted = [...line].sort((one, other) => one.place[axis] - other.place[axis]);
    return [sorted[0], sorted.at(-1)];
  });
  const width = ([first, last]) => last.place[axis] - first.place[axis];
  const most = Math.max(0, ...ends.map(width));
  const widest = ends.filter((pair) => most && width(pair) === most && pair[0].key !== pair[1].key);
  return widest[Math.floor((widest.length - 1) / 2)]; // of several the middle one: ends are the extremes of other axes
}

// The next cell with a picture as one reads, row by row; undefined after the last. `beside(cell, columns, rows)` stops
// at the edges and finds nothing where a cell was left out; no row or column is longer than `longest`.
export function nextPicture(cell, beside, longest) {
  const steps = Array.from({ length: 2 * longest + 1 }, (_, at) => at - longest);
  const isSame = (one, other) => one?.place.join() === other?.place.join();
  for (let row = 0; row <= longest; row++) {
    for (const step of row ? steps : steps.slice(longest + 1)) {
      const next = beside(cell, step, row);
      if (row && next && isSame(next, beside(cell, step, row - 1))) return undefined; // there is no such row
      if (next?.state === "done" && !isSame(next, cell)) return next;
    }
  }
  return undefined;
}
