// The faces and regions beside a picture, as buttons: whatever a pointer can do over the picture, keys can do here.
// Knows nothing about pixels or the words of a mask.

import { choice, make, press } from "./element.js";

const SIGNS = { "+": "in the mask", "-": "taken out of the mask", "": "not in the mask" };
const SHOWN = { "+": "+", "-": "−", "": "" };

export class RegionList {
  constructor({ pick, turn, point }) {
    Object.assign(this, { pick, turn, point });
    this.faces = make("div", { className: "sl-mask-faces" });
    this.note = make("p", { className: "sl-mask-note" });
    this.buttons = make("div", { className: "sl-mask-regions", role: "group", ariaLabel: "Regions of the face" });
    this.buttons.addEventListener("keydown", (event) => this.walk(event));
    this.root = make("div", { className: "sl-mask-list" }, make("h3", { text: "Faces" }), this.faces, this.note,
      this.head = make("h3", { text: "Regions" }), this.buttons);
  }

  open(faces, nothing) {
    const titleOf = ({ number, note }) => `Face ${number}${note ? `: ${note}` : ""}`;
    const values = faces.map((face) => [String(face.number), face.number, titleOf(face)]);
    const fresh = choice("Face", values, this.pick);
    fresh.classList.add("sl-mask-faces");
    this.faces.replaceWith(fresh);
    this.faces = fresh;
    this.faces.hidden = !faces.length;
    this.nothing = faces.length ? "" : nothing;
    this.fill(0, {}, "");
  }

  // The regions that this face has, in the order they were given.
  fill(number, regions, note) {
    this.number = number;
    const names = Object.keys(regions);
    press(this.faces, number);
    this.note.textContent = this.nothing || note;
    this.note.hidden = !this.note.textContent;
    this.head.hidden = this.buttons.hidden = !names.length;
    this.buttons.replaceChildren(...names.map((name) => this.buttonOf(name)));
  }

  buttonOf(name) {
    const button = make("button", { type: "button", value: name }, make("i"), make("span", { text: name }));
    button.onclick = (event) => this.turn(this.number, name, event.altKey ? "-" : "+");
    button.onpointerenter = button.onfocus = () => this.point(this.number, name);
    button.onpointerleave = button.onblur = () => this.point(0, "");
    return button;
  }

  mark(signOf) {
    for (const button of this.buttons.children) {
      const sign = signOf(this.number, button.value);
      button.firstChild.textContent = SHOWN[sign];
      button.dataset.sign = sign;
      button.ariaPressed = String(sign === "+");
      button.ariaLabel = `${button.value}, ${SIGNS[sign]}`;
      button.title = `face ${this.number}: ${button.value}, ${SIGNS[sign]}`;
    }
  }

  hover(number, region) {
    for (const button of this.buttons.children) {
      button.classList.toggle("sl-over", number === this.number && button.value === region);
    }
  }

  // Arrow keys walk the list; minus takes a region away.
  walk(event) {
    const all = [...this.buttons.children], at = all.indexOf(event.target.closest("button"));
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) all[(at + by + all.length) % all.length].focus();
    else if (event.key === "-" && at >= 0) this.turn(this.number, all[at].value, "-");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
