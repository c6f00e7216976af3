// The line above the grid: what runs across and down, the layers, what part is shown, the size of cells.
// Knows nothing about pictures or marks: it only calls what a grid can do.

import { CROPS } from "./crop.js";
import { choice, make, press } from "./element.js";

export class GridTools {
  constructor(grid) {
    this.grid = grid;
    this.columns = make("select", { onchange: (event) => grid.turn("across", Number(event.target.value)) });
    this.rows = make("select", { onchange: (event) => grid.turn("down", Number(event.target.value)) });
    this.layers = make("span", { className: "sl-layers" });
    this.crops = choice("Crop", CROPS, (crop) => grid.setCrop(crop));
    this.size = make("input", { type: "range", min: 56, max: 512, step: 4, ariaLabel: "Size", title: "Size of cells" });
    this.size.oninput = () => grid.setSize(Number(this.size.value), { isChosen: true });
    const button = (text, title, onclick) => make("button", { type: "button", text, title, ariaLabel: title, onclick });
    const swap = button("Swap", "Swap rows and columns (s)", () => grid.swap());
    const help = button("?", "All keys", () => grid.help.showModal());
    this.root = make("div", { className: "sl-tools", role: "toolbar", ariaLabel: "Grid" },
      named("Columns", this.columns), swap, named("Rows", this.rows), this.layers,
      make("span", { className: "sl-push" }), grid.overlay.field, this.crops, this.size, help);
  }

  draw() {
    const { axes, view } = this.grid, { across, down, place } = view;
    const names = axes.map(({ name }) => name);
    this.columns.replaceChildren(...options(names, across));
    this.rows.replaceChildren(...options(names, down));
    if (down < 0) this.rows.prepend(make("option", { text: "none", value: -1, selected: true }));
    for (const select of [this.columns, this.rows]) select.disabled = axes.length < 2;
    const further = [...axes.keys()].filter((axis) => axis !== across && axis !== down);
    this.layers.replaceChildren(...further.map((axis) => this.layer(axis, place[axis])));
  }

  layer(axis, at) {
    const { name, labels } = this.grid.axes[axis];
    const select = make("select", { ariaLabel: name });
    select.onchange = () => this.grid.focus(this.grid.view.place.with(axis, Number(select.value)), false);
    select.append(...options(labels, at));
    const count = make("span", { className: "sl-of", text: `${at + 1} of ${labels.length}` });
    return make("label", { className: "sl-field", text: name }, select, count);
  }

  drawCrops(crop, spots) {
    for (const button of this.crops.children) {
      button.disabled = button.value !== "whole" && !spots[button.value];
      button.title = button.disabled ? `Where the ${button.value} is, is not known in this run yet` : "";
    }
    this.crops.hidden = !Object.keys(spots).length;
    press(this.crops, crop);
  }

  drawSize(pixels) {
    this.size.value = pixels;
    this.size.ariaValueText = `${pixels} pixels`;
  }
}

function named(text, field) {
  field.ariaLabel = text;
  return make("label", { className: "sl-field", text }, field);
}

function options(texts, chosen) {
  return texts.map((text, value) => make("option", { text, value, selected: value === chosen }));
}
