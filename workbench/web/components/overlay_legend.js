// The line that says what a measure on the cells means: scale, unit, what photographs have, how much is measured.
// Knows nothing about cells; what it shows is handed to it.

import { make } from "./element.js";
import { GRADIENT, numberText, shareOf, shortText, wordsOf } from "./overlay_scale.js";

export class OverlayLegend {
  constructor({ onLines, onFilled, onMeasure, canMeasure }) {
    this.canMeasure = canMeasure;
    this.name = make("b");
    this.unit = make("span", { className: "sl-unit" });
    this.ends = [make("span"), make("span")];
    this.ramp = make("span", { className: "sl-ramp" });
    this.ramp.style.background = GRADIENT;
    this.marks = make("span", { className: "sl-ramp-marks" });
    const ramp = make("span", { className: "sl-ramp-box" }, this.ramp, this.marks);
    this.scale = make("span", { className: "sl-scale", role: "img" }, this.ends[0], ramp, this.ends[1]);
    this.photographs = make("span", { className: "sl-photographs" });
    const button = (text, title, onclick) => make("button", { type: "button", text, title, onclick });
    this.lines = button("Lines", "Lines between cells where the measure steps (l)", onLines);
    this.filled = button("Fill", "Fill the cells with the scale; the pictures come back with it off (k)", onFilled);
    this.progress = make("span", { className: "sl-far", ariaLive: "polite" });
    this.start = button("Measure", "Measure the pictures that are not measured yet", onMeasure);
    this.root = make("div", { className: "sl-tools sl-legend", role: "group", ariaLabel: "Measure", hidden: true },
      this.name, this.unit, this.scale, this.photographs, make("span", { className: "sl-push" }),
      this.progress, this.start, this.lines, this.filled);
  }

  draw({ measure, scale, told, hasLines, isFilled }) {
    this.root.hidden = !measure;
    if (!measure) return;
    const { name, unit, low, high, meaning, formula } = measure;
    this.name.textContent = wordsOf(name);
    this.name.title = this.unit.title = [unit, meaning, formula].filter(Boolean).join("\n");
    this.unit.textContent = unit;
    this.lines.ariaPressed = String(hasLines);
    this.filled.ariaPressed = String(isFilled);
    this.drawScale(scale, { low, high });
    this.drawProgress(told);
  }

  drawScale(scale, photographs) {
    this.scale.hidden = !scale;
    const range = `${shortText(photographs.low)} to ${shortText(photographs.high)}`;
    this.photographs.textContent = `photographs ${range}`;
    this.photographs.title = "Where photographs of faces lay; not what is good";
    if (!scale) return;
    const { low, high, isTrimmed, levels } = scale;
    this.ends[0].textContent = `${isTrimmed[0] ? "≤ " : ""}${numberText(low)}`;
    this.ends[1].textContent = `${isTrimmed[1] ? "≥ " : ""}${numberText(high)}`;
    this.scale.ariaLabel = `scale from ${numberText(low)} to ${numberText(high)}; photographs ${range}`;
    const ticks = levels.map((level) => {
      const tick = make("i", { title: shortText(level) });
      tick.style.left = `${100 * shareOf(scale, level)}%`;
      return tick;
    });
    this.marks.replaceChildren(...ticks, ...bandOf(scale, photographs));
  }

  drawProgress({ measured, of, is_measuring: isMeasuring }) {
    const left = of - measured;
    const far = `${measured} of ${of}`;
    this.progress.textContent = isMeasuring ? `measuring: ${far} so far` : left ? `${far} measured` : "";
    this.start.hidden = isMeasuring || !left || !this.canMeasure;
  }
}

// The part of the scale in which photographs lie, as a bracket under it; an end that lies beyond it is left open.
function bandOf(scale, { low, high }) {
  if (high < scale.low || low > scale.high) return [];
  const band = make("em", { title: "photographs of faces" });
  const [from, to] = [shareOf(scale, low), shareOf(scale, high)];
  Object.assign(band.style, { left: `${100 * from}%`, width: `${Math.max(1, 100 * (to - from))}%` });
  band.classList.toggle("sl-from", low >= scale.low);
  band.classList.toggle("sl-to", high <= scale.high);
  return [band];
}
