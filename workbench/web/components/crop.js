// Which part of a picture a cell shows: all of it, the face enlarged to fill the cell, or a spot at one picture pixel
// for one pixel of the screen. Knows nothing about cells or where spots come from.
// A spot: [x, y, width, height] as shares of the picture.

export const CROPS = [["Whole", "whole"], ["Face", "face"], ["Cheek 1:1", "cheek"]];

// Frames a picture of `width` x `height` pixels in a cell of `box` CSS pixels; answers whether it had to.
export function frame(image, { width, height }, spot, { crop, box }) {
  if (!spot) {
    image.removeAttribute("style");
    return false;
  }
  const scale = crop === "face"
    ? Math.max(box.width / (spot[2] * width), box.height / (spot[3] * height)) : 1 / devicePixelRatio;
  const size = { width: width * scale, height: height * scale };
  const left = edge(box.width, size.width, spot[0] + spot[2] / 2);
  const top = edge(box.height, size.height, spot[1] + spot[3] / 2);
  Object.assign(image.style, {
    position: "absolute", left: "0", top: "0", maxWidth: "none", objectFit: "fill",
    width: `${size.width}px`, height: `${size.height}px`, transform: `translate(${left}px, ${top}px)`,
    imageRendering: crop === "face" ? "auto" : "pixelated",
  });
  return true;
}

// Where the picture begins so that `centre` (a share of it) is in the middle of the cell: on a pixel of the screen, and
// with no bare edge where the picture is large enough.
function edge(room, size, centre) {
  const wanted = size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, room / 2 - centre * size));
  return Math.round(wanted * devicePixelRatio) / devicePixelRatio;
}
