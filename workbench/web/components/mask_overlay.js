// Shows a mask over its picture, as a tint with a bright line where it is half: drawn at the screen's size, never at
// the picture's, so that a large picture stays quick. Knows nothing about what the mask is for.

const TINT = [224, 17, 95]; // ruby, as masks are shown in darkrooms: skin never has it
const TINT_SHARE = 0.45;
const EDGE = [255, 132, 170, 255];
const HALF = 128;

const asWord = ([red, green, blue, alpha]) => (red | (green << 8) | (blue << 16) | (alpha << 24)) >>> 0;
const TINTS = Uint32Array.from({ length: 256 }, (_, value) => asWord([...TINT, Math.round(value * TINT_SHARE)]));
const EDGE_WORD = asWord(EDGE);

// The pixels of the picture that a row or column of the screen shows: its middle, or two points where it is shrunk.
function samples(count, from, corner, scale, size) {
  const clamp = (at) => (at >= 0 && at < size ? at : -1);
  const at = (share) => Int32Array.from({ length: count }, (_, i) =>
    clamp(Math.floor((from + i + share - corner) / scale)));
  return scale < 1 ? [at(0.25), at(0.75)] : [at(0.5), at(0.5)];
}

// The mask's values along one row of the screen.
function rowOf({ pixels, width }, rows, [first, second], into) {
  const [above, below] = rows;
  if (above < 0 || below < 0) return into.fill(0);
  const [one, two] = [above * width, below * width];
  for (let x = 0; x < into.length; x++) {
    const a = first[x], b = second[x];
    if (a < 0 || b < 0) into[x] = 0;
    else if (one === two && a === b) into[x] = pixels[one + a];
    else into[x] = (pixels[one + a] + pixels[one + b] + pixels[two + a] + pixels[two + b] + 2) >> 2;
  }
  return into;
}

// Draws [left, top, right, bottom] of the canvas (device pixels) for a picture whose corner lies there.
export function drawMask(context, sheet, { corner, scale }, [left, top, right, bottom]) {
  const [width, height] = [right - left, bottom - top];
  if (width <= 0 || height <= 0) return;
  const columns = samples(width + 1, left - 1, corner[0], scale, sheet.width);
  const lines = samples(height + 1, top - 1, corner[1], scale, sheet.height);
  const image = new ImageData(width, height), words = new Uint32Array(image.data.buffer);
  let before = rowOf(sheet, [lines[0][0], lines[1][0]], columns, new Uint8Array(width + 1));
  let now = new Uint8Array(width + 1);
  for (let y = 0; y < height; y++) {
    rowOf(sheet, [lines[0][y + 1], lines[1][y + 1]], columns, now);
    for (let x = 0; x < width; x++) {
      const isIn = now[x + 1] >= HALF, isEdge = isIn !== (now[x] >= HALF) || isIn !== (before[x + 1] >= HALF);
      words[y * width + x] = isEdge ? EDGE_WORD : TINTS[now[x + 1]];
    }
    [before, now] = [now, before];
  }
  context.putImageData(image, left, top);
}

// Where a box of the picture lies on the screen, a little larger for its edge line, cut to the canvas.
export function onScreen([left, top, right, bottom], { corner, scale }, [width, height]) {
  const at = (px, axis) => px * scale + corner[axis];
  return [Math.max(0, Math.floor(at(left, 0)) - 2), Math.max(0, Math.floor(at(top, 1)) - 2),
    Math.min(width, Math.ceil(at(right, 0)) + 3), Math.min(height, Math.ceil(at(bottom, 1)) + 3)];
}
