// Where the one picture lies in its frame, on whole device pixels, and how it is dragged. Knows nothing about pictures'
// names or making.

import { cornerOf, devicePx, inside, scaleOf, unitPx, upTo } from "./viewport.js";

// At 100 % the screen shows the file's own pixels, so the frame's own corner is counted too.
export function inPlace(image, frame, view, size) {
  const box = frame.getBoundingClientRect(), unit = unitPx();
  const room = [frame.clientWidth, frame.clientHeight].map(devicePx);
  const kept = inside(view, size, room), scale = scaleOf(kept, size, room);
  const shift = [upTo(box.left, unit) - box.left, upTo(box.top, unit) - box.top];
  const [x, y] = cornerOf(kept, size, room, scale).map((px, i) => px / devicePixelRatio + shift[i]);
  image.hidden = false;
  image.style.transform = `translate(${x}px, ${y}px) scale(${scale / devicePixelRatio})`;
}

export function watchDrag(frame, pan) {
  let at = null;
  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("button")) return;
    at = [event.clientX, event.clientY];
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!at) return;
    pan(event.clientX - at[0], event.clientY - at[1]);
    at = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, () => { at = null; });
}
