// One model as a line of the table: state by shape and word, a bar while bytes come. Knows nothing about other lines.

import { make } from "./element.js";
import { KINDS, defaultsText, isRunning, shareOf, sizeOf, stateOf } from "./models_words.js";

export class ModelRow {
  constructor(name, onSelect) {
    const cell = (className) => make("div", { className, role: "gridcell" });
    this.shape = make("span", { className: "sl-shape", ariaHidden: "true" });
    this.word = make("span");
    this.fill = make("i");
    this.bar = make("span", { className: "sl-bar" }, this.fill);
    this.name = make("div", { className: "sl-model-name", role: "rowheader" });
    this.kind = cell("sl-quiet");
    this.state = cell("sl-model-state");
    this.state.append(this.shape, this.word, this.bar);
    this.size = cell("sl-model-size");
    this.licence = cell("sl-quiet sl-clip");
    this.defaults = cell("sl-quiet sl-clip");
    this.root = make("div", { className: "sl-model", role: "row", onclick: () => onSelect(name),
      onfocus: () => onSelect(name) }, this.name, this.kind, this.state, this.size, this.licence, this.defaults);
    this.drawn = "";
  }

  focus() {
    this.root.focus({ preventScroll: true });
    this.root.scrollIntoView({ block: "nearest" });
  }

  show(row, isSelected) {
    const now = JSON.stringify([row, isSelected]);
    if (now === this.drawn) return;
    this.drawn = now;
    const running = isRunning(row);
    this.name.replaceChildren(make("span", { className: "sl-clip", text: row.name }),
      ...(row.is_own ? [make("span", { className: "sl-tag", text: "yours" })] : []));
    this.kind.textContent = KINDS[row.kind] ?? row.kind;
    this.shape.dataset.state = running ? "running" : row.state;
    this.word.textContent = running ? `${Math.floor(shareOf(row.pull) * 100)} %` : stateOf(row);
    this.bar.hidden = !running;
    this.fill.style.transform = `scaleX(${running ? shareOf(row.pull) : 0})`;
    this.size.textContent = sizeOf(row);
    this.licence.textContent = this.licence.title = row.licence;
    this.defaults.textContent = this.defaults.title = defaultsText(row);
    this.root.ariaSelected = String(isSelected);
    this.root.tabIndex = isSelected ? 0 : -1;
    const told = [row.name, KINDS[row.kind] ?? row.kind, stateOf(row), sizeOf(row)];
    this.root.ariaLabel = told.filter(Boolean).join(", ");
  }
}
