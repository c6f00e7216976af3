// Where pictures lie in their panes: one view {zoom, x, y} for all of them. Knows nothing about elements or events.
// `zoom` is device pixels per picture pixel, 0 = fit; (x, y) is the point in the middle of the pane as shares of the
// picture, so that pictures of different size show the same part. A size is [width, height] in picture pixels, a frame
// in device pixels. Pictures begin on whole device pixels; then the screen shows the file's own pixels.

export const ZOOMS = [1, 2, 4];
export const FIT = Object.freeze({ zoom: 0, x: 0.5, y: 0.5 });

const fitOf = (size, frame) => Math.min(frame[0] / size[0], frame[1] / size[1]);
export const scaleOf = (view, size, frame) => view.zoom || fitOf(size, frame);

// Left and top of the picture in the pane.
export function cornerOf(view, size, frame, scale = scaleOf(view, size, frame)) {
  return [view.x, view.y].map((share, i) => Math.round(frame[i] / 2 - share * size[i] * scale));
}

// Half of the pane as shares of the picture; 0.5 and more where the whole picture fits.
export function halves(view, size, frame, scale = scaleOf(view, size, frame)) {
  return [frame[0] / (2 * scale * size[0]), frame[1] / (2 * scale * size[1])];
}

export function inside(view, size, frame) {
  const clamp = (at, half) => (half >= 0.5 ? 0.5 : Math.max(half, Math.min(1 - half, at)));
  const [x, y] = halves(view, size, frame).map((half, i) => clamp([view.x, view.y][i], half));
  return { ...view, x, y };
}

// `aim` is a point as device pixels from the middle of the pane; what lies under it stays there.
export function zoomed(view, zoom, size, frame, aim = [0, 0]) {
  const [before, after] = [scaleOf(view, size, frame), zoom || fitOf(size, frame)];
  const [x, y] = [view.x, view.y].map((share, i) => share + (aim[i] / before - aim[i] / after) / size[i]);
  return inside({ zoom, x, y }, size, frame);
}

export function panned(view, moved, size, frame) {
  const scale = scaleOf(view, size, frame);
  const [x, y] = [view.x, view.y].map((share, i) => share - moved[i] / (scale * size[i]));
  return inside({ ...view, x, y }, size, frame);
}

// The next zoom up or down among fit, 100, 200 and 400 %, by how large pictures are now.
export function nextZoom(view, by, size, frame) {
  const fit = fitOf(size, frame), now = scaleOf(view, size, frame);
  const stops = [[fit, 0], ...ZOOMS.map((zoom) => [zoom, zoom])].sort((one, other) => (one[0] - other[0]) * by);
  const next = stops.find(([scale]) => (scale - now) * by > 1e-9);
  return next ? next[1] : view.zoom;
}

// The view that shows a rectangle [x, y, width, height] (shares) as large as whole zooms allow, else just fitting.
export function viewOf([x, y, width, height], size, frame) {
  const fitting = fitOf([width * size[0], height * size[1]], frame);
  const zoom = ZOOMS.findLast((each) => each <= fitting) ?? fitting;
  return inside({ zoom, x: x + width / 2, y: y + height / 2 }, size, frame);
}

// Panes begin and end where a whole CSS pixel meets a whole device pixel (every 4th at 125 %), because the browser
// rounds to the one or the other.
export const devicePx = (px) => Math.round(px * devicePixelRatio);
const isWhole = (px) => Math.abs(px * devicePixelRatio - devicePx(px)) < 0.01;
export const unitPx = () => Array.from({ length: 20 }, (_, i) => i + 1).find(isWhole) ?? 1;
export const upTo = (px, unit) => Math.ceil(px / unit - 1e-6) * unit;

// How many columns show the pictures largest, and where that puts each pane; all in CSS pixels from the stage's corner.
export function layOutPanes(stage, size, { count, gapPx, barPx }) {
  const unit = unitPx(), [gap, bar] = [upTo(gapPx, unit), upTo(barPx, unit)];
  const [x, y] = [upTo(stage.left, unit) - stage.left, upTo(stage.top, unit) - stage.top];
  const share = (room, parts) => Math.max(unit, Math.floor((room + gap) / parts / unit) * unit - gap);
  const layouts = Array.from({ length: count }, (_, i) => {
    const columns = i + 1, rows = Math.ceil(count / columns);
    const [width, height] = [share(stage.width - x, columns), share(stage.height - y, rows)];
    const place = (at) => [x + (at % columns) * (width + gap), y + Math.floor(at / columns) * (height + gap)];
    return { place, width, height, bar, scale: fitOf(size, [width, Math.max(1, height - bar)]) };
  });
  return layouts.reduce((best, layout) => (layout.scale > best.scale ? layout : best));
}
