// The run that is compared, chosen among all; if none is open, the newest that has two pictures. Knows nothing about
// grids or pictures.

import { make } from "../components/element.js";
import { many } from "../components/shelf_find.js";

const SECONDS = 5;

export class RunChooser {
  constructor() {
    this.select = make("select", { ariaLabel: "Run" });
    this.select.onchange = () => window.Sidelight.open(this.select.value);
    this.problem = make("span", { className: "sl-problem", role: "alert" });
    this.root = make("label", { className: "sl-field", text: "Run" }, this.select, this.problem);
    this.rows = [];
  }

  // To be called when it is on the page.
  start() {
    this.draw();
    window.Sidelight.onRun(() => this.draw());
    window.Sidelight.poll(this.root, () => this.ask(), SECONDS);
  }

  async ask() {
    try {
      const { runs } = await window.Sidelight.json("/api/runs");
      this.problem.textContent = "";
      const isNews = JSON.stringify(runs) !== JSON.stringify(this.rows);
      this.rows = runs;
      if (isNews) this.draw();
    } catch (error) {
      this.problem.textContent = error.message;
      return;
    }
    const withPictures = (least) => this.rows.find(({ progress }) => progress.done >= least);
    const newest = withPictures(2) ?? withPictures(1);
    if (!window.Sidelight.run && newest) window.Sidelight.open(newest.run);
  }

  draw() {
    const { run } = window.Sidelight, rows = this.rows.filter((row) => row.progress.done || row.run === run);
    const option = (text, value) => make("option", { text, value, selected: value === run });
    const named = rows.map((row) => option(textOf(row), row.run));
    if (run && !rows.some((row) => row.run === run)) named.unshift(option(run, run));
    if (!run) named.unshift(option(rows.length ? "Choose a run" : "No run yet", ""));
    this.select.replaceChildren(...named);
    this.select.disabled = !rows.length;
  }
}

function textOf({ name, date, progress: { done, cells } }) {
  return [date, name, done === cells ? many(done, "picture") : `${done} of ${cells}`].filter(Boolean).join(" · ");
}
