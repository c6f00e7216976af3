// The report of one run: its pictures, what failed, who made it when, with which numerics. Knows nothing about routes.
// A module; the page calls `SidelightReport.mount(element, {source})`, where `source(run)` answers what
// `report_answers.ReportAnswer` says, and then `show(row)` with a row of the list of runs.

import { make } from "./element.js";
import { SECTIONS } from "./report_sections.js";
import { bar } from "./shelf_row.js";
import { bytesText, many, stateOf } from "./shelf_find.js";

const SETTLED_MS = 150; // whoever walks through the list asks for one report, not for all
const HINT = "Its pictures, if it has any, are whole in its folder. If a newer Sidelight made it, update this one; "
  + "else put the file back as it was, or move the run to the trash.";
const DEFAULTS = {
  source: null,
  onOpen() {}, // (row, tab, keys) compare or sweep, with these pictures chosen
  onWish() {}, // (row, "resume" or "retry"); these answer promises
  onExport() {},
  onTrash() {},
  onClose() {},
  findings: null, // (element) answers {show(run)}: what was found, at the top
};

class Report {
  constructor(element, options) {
    this.options = { ...DEFAULTS, ...options };
    this.title = make("h2");
    this.about = make("span", { className: "sl-about" });
    this.actions = make("span", { className: "sl-actions" });
    this.problem = make("p", { className: "sl-problem", role: "alert", hidden: true });
    this.parts = make("div", { className: "sl-parts" });
    const found = make("div", { className: "sl-report-findings" });
    this.body = make("div", { className: "sl-report-body" }, found, this.parts);
    const name = make("div", { className: "sl-two" }, this.title, this.about);
    const head = make("header", { className: "sl-report-head" }, name, this.actions);
    const parts = [head, this.problem, this.body];
    this.root = make("section", { className: "sidelight sl-report", ariaLabel: "Report" }, ...parts);
    element.replaceChildren(this.root);
    this.findings = this.options.findings?.(found);
  }

  // The same run again is asked for anew; what is shown stays until the answer is there.
  show(row) {
    const isOther = row.run !== this.row?.run;
    this.row = row;
    this.drawHead();
    clearTimeout(this.soon);
    if (isOther) {
      this.say("");
      this.parts.replaceChildren();
      this.body.scrollTop = 0;
    }
    this.findings?.show(row.fault ? "" : row.run);
    if (row.fault) return this.drawFault(row.fault);
    this.soon = setTimeout(() => this.load(row), isOther ? SETTLED_MS : 0);
  }

  async load(row) {
    try {
      const report = await this.options.source(row.run);
      if (row.run !== this.row.run) return;
      this.say("");
      this.draw(report);
    } catch (error) {
      if (row.run === this.row.run) this.say(String(error.message ?? error));
    }
  }

  drawHead() {
    const { name, run, progress: { cells, done }, bytes, fault } = this.row;
    const { word, more } = stateOf(this.row);
    const count = cells ? `${done} of ${many(cells, "picture")}` : "";
    this.title.textContent = name;
    this.title.title = run;
    const texts = [count, [word, fault ? "" : more].filter(Boolean).join(": "), bytesText(bytes), run].filter(Boolean);
    this.about.replaceChildren(...(done < cells ? [bar(done / cells)] : []), texts.join(" · "));
    this.drawActions();
  }

  drawActions() {
    const { progress: { cells, done, failed }, fault, job } = this.row;
    const canGoOn = !fault && !job && (!cells || done + failed < cells);
    const button = (text, keys, act, more = {}) =>
      make("button", { type: "button", text, title: keys ? `${text} (${keys})` : "", onclick: act, ...more });
    const open = (tab) => () => this.act(() => this.options.onOpen(this.row, tab, []));
    const wish = (what) => () => this.act(() => this.options.onWish(this.row, what));
    const buttons = [
      !fault && button("Compare", "Enter", open("compare"), { className: "sl-main" }),
      !fault && button("Open in Sweep", "o", open("sweep")),
      canGoOn && button("Resume", "r", wish("resume")),
      failed > 0 && !job && !canGoOn && button("Retry failed", "r", wish("retry")),
      done > 0 && button("Export…", "e", () => this.options.onExport(this.row)),
      button("Move to trash", "Delete", () => this.options.onTrash(this.row)),
      button("Close", "", () => this.options.onClose(), { ariaLabel: "Close the report" }),
    ].filter(Boolean);
    const at = [...this.actions.children].indexOf(document.activeElement);
    this.actions.replaceChildren(...buttons);
    if (at >= 0) this.actions.children[Math.min(at, buttons.length - 1)].focus();
  }

  drawFault(fault) {
    const title = make("b", { text: "This run cannot be read" });
    const words = [fault, HINT].map((text) => make("p", { text }));
    this.parts.replaceChildren(make("div", { className: "sl-fault" }, title, ...words));
  }

  draw(report) {
    const told = JSON.stringify(report);
    if (told === this.told && this.parts.childElementCount) return;
    this.told = told;
    const acts = {
      open: (key) => this.act(() => this.options.onOpen(this.row, "compare", [key])),
      retry: () => this.act(() => this.options.onWish(this.row, "retry")),
      say: (text) => this.say(text),
    };
    const sections = SECTIONS.map((section) => section(report, acts)).filter(Boolean);
    this.parts.replaceChildren(...sections);
  }

  async act(work) {
    try {
      this.say("");
      await work();
    } catch (error) {
      this.say(String(error.message ?? error));
    }
  }

  say(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }
}

window.SidelightReport = {
  mount(element, options) {
    const report = new Report(element, options);
    return {
      show: (row) => report.show(row),
      say: (text) => report.say(text),
      destroy: () => { clearTimeout(report.soon); report.root.remove(); },
    };
  },
};
