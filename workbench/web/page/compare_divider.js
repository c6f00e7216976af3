// The line between grid and pictures, moved by dragging or arrow keys. Knows nothing about what is beside it.

import { make } from "../components/element.js";

const LEAST = 0.2, MOST = 0.75, STEP = 0.02;

// Sets `--sl-left` of `root`, a share of its width; `kept` hears where it was left.
export function divider(root, share, kept) {
  const line = make("div", { className: "sl-divider", role: "separator", tabIndex: 0, ariaOrientation: "vertical",
    ariaLabel: "Width of the grid", ariaValueMin: String(100 * LEAST), ariaValueMax: String(100 * MOST) });
  let now = share;
  const set = (wanted) => {
    now = Math.max(LEAST, Math.min(MOST, wanted));
    root.style.setProperty("--sl-left", `${(100 * now).toFixed(2)}%`);
    line.ariaValueNow = String(Math.round(100 * now));
  };
  line.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    line.setPointerCapture(event.pointerId);
  });
  line.addEventListener("pointermove", (event) => {
    if (!line.hasPointerCapture(event.pointerId)) return;
    const box = root.getBoundingClientRect();
    set((event.clientX - box.left) / box.width);
  });
  line.addEventListener("pointerup", () => kept(now));
  line.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    set(now + by);
    kept(now);
  });
  set(share);
  return line;
}
