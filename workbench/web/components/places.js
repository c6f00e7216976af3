// Places of a grid, an index per axis, and where a step leads. Knows nothing about cells or elements.
// A view {across, down, place} says which axes run across and down (-1: none) and where one stands.

export function placeAt({ across, down, place }, column, row) {
  return place.map((at, axis) => (axis === across ? column : axis === down ? row : at));
}

export function neighbour({ across, down }, axes, place, columns, rows) {
  const step = (at, axis, by) => Math.max(0, Math.min(axes[axis].labels.length - 1, at + by));
  return place.map((at, axis) => step(at, axis, axis === across ? columns : axis === down ? rows : 0));
}

// The last further axis turns first, like the digits of a number; past the end it begins again.
export function nextLayer({ across, down, place }, axes, by) {
  const next = [...place];
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    if (axis === across || axis === down) continue;
    const count = axes[axis].labels.length;
    next[axis] = (next[axis] + by + count) % count;
    if (next[axis] !== (by > 0 ? 0 : count - 1)) break;
  }
  return next;
}
