// A measure over the grid: number and place on a scale on every cell, lines where it steps; brackets on the axes.
// Knows nothing about routes, or how a measure is taken. What it gets: {edition, measured, of, is_measuring, measures:
// [{name, unit, low, high, meaning, formula}], cells: {KEY: {values, why, verdicts, cautions, flat}}}.

import { make } from "./element.js";
import { bracketsOn, drawBrackets } from "./grid_brackets.js";
import { OverlayLegend } from "./overlay_legend.js";
import { drawLines, linesOf } from "./overlay_lines.js";
import { colourOf, numberText, scaleOf, shareOf, wordsOf } from "./overlay_scale.js";
import { placeAt } from "./places.js";

const NOTHING = { measured: 0, of: 0, is_measuring: false, measures: [], cells: {} };
const GAP = 3; // --sl-gap
const LIGHT = ["side_ev", "shading"]; // of which `flat` speaks
const SHORT = 76; // pixels of a cell that has no room for marks beside the number

export class Overlay {
  constructor(grid) {
    const { measure = "", hasLines = true, isFilled = false } = grid.options.overlay;
    Object.assign(this, { grid, told: NOTHING, findings: [], name: "", hasLines, isFilled });
    Object.assign(this, { wanted: measure, last: measure || "texture" });
    this.select = make("select", { title: "Show a measure of the skin on every cell (i)",
      onchange: () => this.choose(this.select.value) });
    this.select.ariaLabel = "Show";
    this.field = make("label", { className: "sl-field sl-show" }, make("span", { text: "Show" }), this.select);
    this.field.hidden = true;
    this.legend = new OverlayLegend({
      onLines: () => this.setLines(), onFilled: () => this.setFilled(), onMeasure: () => grid.options.onMeasure(),
      canMeasure: Boolean(grid.options.onMeasure),
    });
  }

  get measure() { return this.told.measures.find(({ name }) => name === this.name) ?? null; }

  // ---- what is told

  take(measures) {
    const told = JSON.stringify(measures);
    if (told === this.before) return;
    this.before = told;
    this.told = measures;
    const names = measures.measures.map(({ name }) => name);
    if (this.wanted && names.includes(this.wanted)) Object.assign(this, { name: this.wanted, wanted: "" });
    if (!names.includes(this.name)) this.name = "";
    this.field.hidden = !names.length;
    const options = [["pictures", ""], ...names.map((name) => [wordsOf(name), name])];
    this.select.replaceChildren(...options.map(([text, value]) =>
      make("option", { text, value, selected: value === this.name })));
    this.draw();
  }

  bracket(findings) {
    this.findings = findings;
    this.drawBrackets();
  }

  // ---- what a person does

  choose(name) {
    if (this.name && !name) this.last = this.name;
    this.name = name;
    this.select.value = name;
    this.draw();
    this.tell();
  }

  toggle() {
    const names = this.told.measures.map(({ name }) => name);
    if (names.length) this.choose(this.name ? "" : names.includes(this.last) ? this.last : names[0]);
  }

  // Walks through the measures; before the first and after the last are the pictures alone.
  step(by) {
    const names = ["", ...this.told.measures.map(({ name }) => name)];
    if (names.length > 1) this.choose(names.at((names.indexOf(this.name) + by) % names.length));
  }

  setLines(hasLines = !this.hasLines) {
    this.hasLines = hasLines;
    this.drawScale();
    this.lay();
    this.tell();
  }

  setFilled(isFilled = !this.isFilled) {
    this.isFilled = isFilled;
    this.draw();
    this.tell();
  }

  tell() {
    const { name: measure, hasLines, isFilled } = this;
    this.grid.options.onOverlay({ measure, hasLines, isFilled });
  }

  // ---- drawing

  draw() {
    const values = this.name ? Object.values(this.told.cells).map(({ values }) => values[this.name]) : [];
    const numbers = values.filter(Number.isFinite);
    this.scale = numbers.length ? scaleOf(numbers, this.measure) : null;
    this.grid.redraw(this.grid.boxes.keys());
    this.drawScale();
    this.lay();
  }

  drawScale() {
    this.grid.root?.classList.toggle("sl-measured", Boolean(this.measure));
    this.legend.draw(this);
  }

  // After the cell itself was drawn; a cell without a picture has nothing to measure.
  dress(box, cell) {
    if (!this.measure || cell?.state !== "done") return;
    const found = this.told.cells[cell.key], value = found?.values[this.name];
    const isNumber = Number.isFinite(value);
    const text = isNumber ? numberText(value) : "–";
    const said = this.saidOf(found, value);
    const rule = new RegExp(`\\b${this.name} [-−\\d]`); // "no texture resolved: slope -1.4 is below -1.2"
    const isJudged = found?.verdicts.some((verdict) => rule.test(verdict));
    const number = make("span", { className: "sl-pill sl-measure", title: said }, text);
    if (!isNumber) number.classList.add("sl-missing");
    if (isJudged) number.prepend(make("i", { className: "sl-judged", text: "▲ " }));
    const heat = make("span", { className: "sl-heat" });
    if (isNumber) heat.style.background = colourOf(shareOf(this.scale, value));
    box.append(...(isNumber ? [heat] : []), number);
    box.classList.toggle("sl-filled", this.isFilled && isNumber);
    box.classList.toggle("sl-tight", this.grid.pixels < SHORT);
    box.ariaLabel += `, ${said.replaceAll("\n", ", ")}`;
  }

  saidOf(found, value) {
    const { name, unit } = this.measure;
    if (!found) return `${wordsOf(name)}: ${this.told.is_measuring ? "is being measured" : "not measured yet"}`;
    if (!Number.isFinite(value)) return `no ${wordsOf(name)}: ${found.why[name] ?? "no face was found"}`;
    const light = LIGHT.includes(name) && found.flat ? [found.flat] : [];
    const cautions = found.cautions.map((text) => `caution: ${text}`);
    return [`${wordsOf(name)} ${numberText(value)} ${unit}`, ...light, ...found.verdicts, ...cautions].join("\n");
  }

  // When the table was laid out: after every drawing of it and every other size of its cells.
  lay() {
    this.drawBrackets();
    const { table, pixels, height } = this.grid;
    table.querySelector(".sl-iso")?.remove();
    const first = table.querySelector(".sl-row:not(.sl-head) > .sl-cell");
    if (!this.scale || !this.hasLines || !first || !first.offsetWidth) return;
    const lines = linesOf(this.tableOf(), this.scale.levels);
    if (!lines.length) return;
    const [box, from] = [table.getBoundingClientRect(), first.getBoundingClientRect()];
    table.append(drawLines(lines, this.scale,
      { left: from.left - box.left, top: from.top - box.top, width: pixels, height, gap: GAP }));
  }

  // The numbers as they lie on the screen.
  tableOf() {
    const { grid } = this, { across, down } = grid.view;
    return grid.labelsOf(down).map((_, row) => grid.labelsOf(across).map((_, column) => {
      const cell = grid.cells.get(placeAt(grid.view, column, row).join());
      return cell?.state === "done" ? this.told.cells[cell.key]?.values[this.name] ?? null : null;
    }));
  }

  drawBrackets() {
    const { grid } = this, { across, down } = grid.view;
    const [head, ...rows] = [...grid.table.children].filter((row) => row.matches(".sl-row"));
    if (!head) return;
    const on = (axis) => (axis < 0 ? [] : bracketsOn(grid.axes[axis], this.findings, (...held) => this.holds(...held)));
    drawBrackets([...head.children].slice(1), on(across));
    drawBrackets(rows.map((row) => row.firstChild), on(down));
  }

  // Whether a value that a finding holds is that of the cells on the screen: of all, of some rows or columns, of none.
  holds(name, text) {
    const { axes, view } = this.grid, axis = axes.findIndex((each) => each.name === name);
    if (axis < 0) return true;
    const isSame = (label) => label === text || (text !== "" && Number(label) === Number(text));
    const { labels } = axes[axis];
    if (axis !== view.across && axis !== view.down) return isSame(labels[view.place[axis]]);
    return labels.length === 1 || !labels.some(isSame) ? labels.some(isSame) : "partly";
  }
}
