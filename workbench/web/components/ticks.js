// Marks counted by the values of an axis: a button, and the table that it opens. Counts with what they are out of, no
// score. Knows nothing about routes: `ask(axis, isPaired)` answers {axis, axes, is_paired, rows}.

import { make } from "./element.js";

const HEADS = ["pictures", "marked", "picked", "rejected", "mean stars"];
const TITLES = { "mean stars": "The mean, and in brackets how many pictures have stars" };

export class Ticks {
  constructor(ask) {
    this.ask = ask;
    this.axis = "";
    this.button = make("button", { type: "button", text: "Marks by value", ariaExpanded: "false" });
    this.button.onclick = () => this.toggle();
    this.axes = make("select", { ariaLabel: "Counted by" });
    this.axes.onchange = () => { this.axis = this.axes.value; this.refresh(); };
    this.paired = make("input", { type: "checkbox", className: "sl-check", onchange: () => this.refresh() });
    const whole = "Only pictures whose counterparts at all other values are marked too: the same prompts and seeds";
    const pairs = make("label", { className: "sl-field", title: whole }, this.paired, "only where all are marked");
    this.problem = make("span", { className: "sl-problem", role: "alert" });
    this.head = make("div", { className: "sl-line" }, make("label", { className: "sl-field", text: "By" }, this.axes),
      pairs, this.problem);
    this.place = make("div");
    this.panel = make("div", { className: "sl-ticks", hidden: true }, this.head, this.place);
  }

  toggle() {
    const isOpen = this.panel.hidden;
    this.panel.hidden = !isOpen;
    this.button.ariaExpanded = String(isOpen);
    this.button.ariaPressed = String(isOpen);
    if (isOpen) this.refresh();
  }

  // Another run: its axes are others.
  forget() {
    this.axis = "";
    this.refresh();
  }

  async refresh() {
    if (this.panel.hidden) return;
    const turn = (this.turn ?? 0) + 1;
    this.turn = turn;
    try {
      const answer = await this.ask(this.axis, this.paired.checked);
      if (turn === this.turn) this.draw(answer);
    } catch (error) {
      this.problem.textContent = `Not counted: ${error.message ?? error}.`;
    }
  }

  draw({ axis, axes, rows }) {
    this.problem.textContent = "";
    this.axis = axis;
    const option = (name) => make("option", { text: name, value: name, selected: name === axis });
    this.axes.replaceChildren(...axes.map(option));
    const isAny = rows.some(({ marked }) => marked);
    const nothing = this.paired.checked ? "No picture is marked at every value yet."
      : "Nothing is marked yet: stars, pick, reject and ticks are counted here.";
    this.place.replaceChildren(isAny ? tableOf(axis, rows) : make("p", { text: nothing }));
  }
}

function tableOf(axis, rows) {
  const faults = [...new Set(rows.flatMap((row) => row.faults.map(({ fault }) => fault)))];
  const head = (text) => make("th", { scope: "col", text, title: TITLES[text] ?? "" });
  const heads = [axis, ...HEADS, ...faults].map(head);
  const lines = rows.map((row) => make("tr", {}, make("th", { scope: "row", text: row.label, title: row.label }),
    ...countsOf(row, faults).map((text) => make("td", { text }))));
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...lines));
}

function countsOf(row, faults) {
  const outOf = (count) => (row.marked ? `${count} of ${row.marked}` : "–");
  const counts = new Map(row.faults.map(({ fault, pictures }) => [fault, pictures]));
  const mean = row.mean_stars === null ? "–" : `${row.mean_stars.toFixed(1)} (${row.starred})`;
  return [String(row.pictures), String(row.marked), outOf(row.picked), outOf(row.rejected), mean,
    ...faults.map((fault) => outOf(counts.get(fault) ?? 0))];
}
