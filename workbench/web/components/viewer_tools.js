// The buttons around the panes of the viewer: modes, zooms, places, amplification, surround.
// Knows nothing about pictures: a button calls what a viewer can do, and shows what the viewer says of itself.

import { LETTERS } from "./cell.js";
import { choice, make, press } from "./element.js";
import { SPOTS } from "./gestures.js";

export const MODES = [
  ["Side by side", "side", ""], ["Slider", "slider", "w"], ["Flicker", "flicker", "v"],
  ["Difference", "difference", "d"],
];
export const GAINS = [1, 2, 4, 8, 16];
export const SURROUNDS = [["dark", "#1a1a1a"], ["mid", "#777777"], ["light", "#c8c8c8"]];
const ZOOMS = [["Fit", 0, "Shift 0"], ["100", 1, "Shift 1"], ["200", 2, "Shift 2"], ["400 %", 4, "Shift 4"]];

export class Tools {
  constructor(viewer) {
    this.viewer = viewer;
    const titled = (list) => list.map(([text, value, key]) => [text, value, key ? `${text} (${key})` : text]);
    this.modes = choice("Mode", titled(MODES), (mode) => viewer.setMode(mode));
    this.zooms = choice("Zoom", titled(ZOOMS), (zoom) => viewer.zoomTo(zoom));
    this.places = choice("Go to", titled(SPOTS), (name) => viewer.goTo(name));
    this.found = make("span", { className: "sl-found", text: "found", hidden: true, title: "Where they are was found by the face map" });
    this.others = make("span", { className: "sl-choice" });
    this.gains = choice("Amplified", GAINS.map((gain) => [`×${gain}`, gain]), (gain) => viewer.setGain(gain));
    this.surrounds = surroundsOf(viewer);
    this.swap = make("button", { type: "button", text: "Swap", title: "Swap A and B (o)" });
    this.swap.onclick = () => viewer.swap();
    const help = make("button", { type: "button", text: "?", title: "All keys (?)", ariaLabel: "All keys",
      className: "sl-help" });
    help.onclick = () => viewer.help.showModal();
    this.bar = make("div", { className: "sl-tools", role: "toolbar", ariaLabel: "Compare" },
      this.modes, this.zooms, this.places, this.found, this.others, this.gains, help);
  }

  draw() {
    const { viewer } = this, count = viewer.pictures.length;
    press(this.modes, viewer.mode);
    press(this.zooms, viewer.view.zoom);
    press(this.gains, viewer.gain);
    press(this.others, viewer.against);
    press(this.surrounds, viewer.surround);
    this.gains.hidden = viewer.mode !== "difference";
    this.others.hidden = !viewer.isOne() || count < 3;
    this.swap.disabled = count < 2;
    for (const button of this.modes.children) button.disabled = count < 2 && button.value !== "side";
    for (const button of this.places.children) {
      button.disabled = !viewer.pictures.some((picture) => viewer.spotOf(picture, button.value));
      const unknown = `No ${button.value} known: Shift-drag over it to set it`;
      const by = isFound(viewer, button.value) ? ", found by the face map; Shift-drag over it to set it yourself" : "";
      button.title = button.disabled ? unknown : `Go to the ${button.value} in every picture${by}`;
    }
    this.found.hidden = !SPOTS.some(([, name]) => isFound(viewer, name));
  }

  drawOthers() {
    const { viewer } = this, letters = LETTERS.slice(1, viewer.pictures.length);
    const fresh = choice("Compared with A", letters.map((letter, at) => [`A, ${letter}`, at + 1]),
      (at) => viewer.setAgainst(at));
    this.others.replaceWith(fresh);
    this.others = fresh;
  }
}

// Nobody set that place: it is what the face map found.
function isFound({ spots }, name) { return Boolean(spots.found?.includes(name)); }

function surroundsOf(viewer) {
  const names = SURROUNDS.map(([name]) => ["", name, `Surround ${name} (b)`]);
  const swatches = choice("Surround", names, (name) => viewer.setSurround(name));
  SURROUNDS.forEach(([name, grey], at) => {
    swatches.children[at].ariaLabel = `Surround ${name}`;
    swatches.children[at].style.setProperty("--sl-swatch", grey);
  });
  swatches.classList.add("sl-swatches");
  return swatches;
}
