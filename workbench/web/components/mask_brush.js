// One stroke's shape: how much of a pixel a brush covers between one point and the next. Knows nothing about undo.
// Everything is in pixels of the picture, so a stroke is the same whatever the zoom. A point is {x, y, radius}.

// 255 within the hard part, then a smooth fall to 0 at the radius, never steeper than over one pixel.
function coverageAt(distance, radius, hardness) {
  const inner = Math.min(radius * hardness, radius - 0.5), outer = Math.max(radius, inner + 1);
  const share = (distance - inner) / (outer - inner);
  if (share <= 0) return 255;
  return share >= 1 ? 0 : Math.round(255 * (1 - share * share * (3 - 2 * share)));
}

// Left, top, right, bottom (whole pixels, right and bottom outside) of what the way can touch.
export function boxOf(from, to) {
  const reach = Math.max(from.radius, to.radius) + 1;
  return [Math.floor(Math.min(from.x, to.x) - reach), Math.floor(Math.min(from.y, to.y) - reach),
    Math.ceil(Math.max(from.x, to.x) + reach), Math.ceil(Math.max(from.y, to.y) + reach)];
}

// Raises the coverage of a tile's pixels, within a box, to what the way covers; calls `raised(i, x, y)` for each.
export function cover(most, { left, top, width }, [from, to, hardness], box, raised) {
  const dx = to.x - from.x, dy = to.y - from.y, length2 = dx * dx + dy * dy;
  const reach = (Math.max(from.radius, to.radius) + 1) ** 2;
  for (let y = box[1]; y < box[3]; y++) {
    const py = y + 0.5 - from.y;
    for (let x = box[0], i = (y - top) * width + x - left; x < box[2]; x++, i++) {
      if (most[i] === 255) continue;
      const px = x + 0.5 - from.x;
      const along = length2 ? Math.max(0, Math.min(1, (px * dx + py * dy) / length2)) : 0;
      const aside = px - along * dx, below = py - along * dy, far2 = aside * aside + below * below;
      if (far2 > reach) continue;
      const share = coverageAt(Math.sqrt(far2), from.radius + along * (to.radius - from.radius), hardness);
      if (share <= most[i]) continue;
      most[i] = share;
      raised(i, x, y);
    }
  }
}
