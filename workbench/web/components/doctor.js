// What doctor found: the verdict first, then every section, what to do beside each. Knows nothing about routes.
// A module; `mount(element, {source, say})`. What `source` answers: `report()` and `begin(quick)` {state, started,
// seconds, error, report}. Whoever mounts it calls `tick()` about once a second.

import { make, typed } from "./element.js";
import { keysHelp } from "./keys_help.js";
import { duration } from "./queue_words.js";

const QUIET_EVERY = 15; // ticks between looks while nothing runs: another browser may have begun
const AGED = 60; // seconds after which the age is worth telling
const AT_THE_END = /; what could be better stands at the end \(\d+\)/; // here it stands right below
const STATES = { fine: "fine", remark: "could be better", broken: "broken" };
const DOCTOR_KEYS = [
  ["r", "examine again, quickly"],
  ["w", "examine again, whole: with quantisation and timing"],
  ["c", "copy the report as text"],
  ["?", "this list"],
];

class DoctorPanel {
  constructor(element, { source, say = () => {} }) {
    Object.assign(this, { source, say });
    this.answer = null;
    this.turn = 0;
    this.drawn = "";
    this.build(element);
    this.onKeyDown = (event) => this.onKey(event);
    document.addEventListener("keydown", this.onKeyDown);
  }

  // ---- once

  build(element) {
    const action = (text, onclick, title) => make("button", { type: "button", text, onclick, title });
    this.quick = action("Run again, quick", () => this.begin(true), "Everything that takes no time; a few seconds");
    this.whole = action("Run again, whole", () => this.begin(false),
      "Also quantisation, and a few pictures made and timed; up to a minute");
    this.copy = action("Copy report", () => this.copyReport(), "As text, to be pasted; nothing private is in it");
    this.help = keysHelp(DOCTOR_KEYS);
    const help = make("button", { type: "button", text: "?", title: "All keys", ariaLabel: "All keys of the doctor",
      onclick: () => this.help.showModal() });
    this.age = make("span", { role: "status" });
    const tools = make("div", { className: "sl-tools" }, this.age, make("span", { className: "sl-push" }), this.copy,
      this.quick, this.whole, help);
    this.problem = make("div", { className: "sl-doctor-said sl-problem", role: "alert", hidden: true });
    this.body = make("div", { className: "sl-doctor-body", tabIndex: 0, ariaLabel: "Report" });
    this.root = make("div", { className: "sidelight sl-doctor" }, tools, this.problem, this.body, this.help);
    element.replaceChildren(this.root);
  }

  end() { document.removeEventListener("keydown", this.onKeyDown); }

  // ---- asking

  // Looks whether there is news; the first time nothing was ever examined, it begins. Never raises.
  async tick() {
    const turn = this.turn++;
    if (this.answer && this.answer.state !== "running" && turn % QUIET_EVERY) return this.drawAge();
    const isFirst = this.answer === null;
    await this.heard(() => this.source.report());
    const isUnknown = this.answer && !this.answer.report && this.answer.state === "none";
    return isFirst && isUnknown ? this.begin(true) : undefined;
  }

  begin(isQuick) { return this.heard(() => this.source.begin(isQuick)); }

  async heard(ask) {
    let said = "";
    try {
      this.answer = await ask();
      this.heardAt = Date.now();
      if (this.answer.state === "failed") said = this.answer.error;
    } catch (error) {
      said = error.message;
    }
    this.problem.hidden = !said;
    this.problem.textContent = said;
    this.draw();
  }

  // ---- drawing

  draw() {
    const isRunning = this.answer?.state === "running";
    this.quick.disabled = this.whole.disabled = isRunning;
    this.copy.disabled = !this.answer?.report;
    this.drawAge();
    const now = this.answer?.report ? this.answer.report.made : `none ${isRunning}`;
    if (!this.answer || now === this.drawn) return;
    this.drawn = now;
    this.body.replaceChildren(...(this.answer.report ? reported(this.answer.report) : [waiting(isRunning)]));
  }

  drawAge() {
    const { state, seconds, report } = this.answer ?? {};
    const since = (Date.now() - (this.heardAt ?? Date.now())) / 1000;
    const told = [];
    if (state === "running") told.push(`Examining, ${duration(seconds + since)} so far`);
    if (report) {
      const age = report.age_seconds + since;
      const when = age < AGED ? "just now" : `${duration(age)} ago`;
      const what = state === "running" ? "the report below is of" : "Examined";
      told.push(`${what} ${when}, ${report.is_quick ? "quick" : "whole"}`);
    }
    this.age.textContent = told.join("; ");
  }

  // ---- what a person does

  async copyReport() {
    const text = this.answer?.report?.text;
    if (!text) return;
    try {
      await navigator.clipboard.writeText(text);
      this.say("The report is copied; nothing private is in it");
    } catch { // no clipboard for a page over plain HTTP from another machine
      this.showText(text);
    }
  }

  showText(text) {
    const area = make("textarea", { readOnly: true, value: text, rows: 24, ariaLabel: "Report as text" });
    const close = make("button", { type: "button", text: "Close", onclick: () => dialog.close() });
    const dialog = make("dialog", { ariaLabel: "Report as text", onclose: () => dialog.remove() },
      make("h2", { text: "Copy this text" }), area, close);
    this.root.append(dialog);
    dialog.showModal();
    area.select();
  }

  onKey(event) {
    const isTyped = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
    if (isTyped || event.altKey || event.ctrlKey || event.metaKey || !this.root.checkVisibility()) return;
    const acts = {
      r: () => !this.quick.disabled && this.begin(true), w: () => !this.whole.disabled && this.begin(false),
      c: () => this.copyReport(), "?": () => this.help.showModal(),
    };
    if (!Object.hasOwn(acts, event.key)) return;
    event.preventDefault();
    acts[event.key]();
  }
}

function reported(report) {
  const findings = report.sections.flatMap((section) => section.findings);
  const broken = findings.filter((one) => one.state === "broken").length;
  const better = findings.filter((one) => one.state === "remark").length;
  const state = broken ? "broken" : better ? "remark" : "fine";
  const counts = [`${findings.length - broken - better} fine`, better && `${better} could be better`,
    broken && `${broken} broken`];
  const parts = [make("header", {}, shape(state),
    make("div", {}, make("h2", { text: report.verdict.replace(AT_THE_END, "") }),
      make("p", { className: "sl-quiet", text: counts.filter(Boolean).join(" · ") })))];
  if (report.advice.length) {
    parts.push(make("section", { className: "sl-doctor-advice" }, make("h3", { text: "What to change" }),
      make("ul", {}, ...report.advice.map((text) => make("li", {}, ...typed(text))))));
  }
  return [...parts, ...report.sections.filter((section) => section.findings.length).map(sectionOf)];
}

function sectionOf(section) {
  const lines = section.findings.map((one) => make("div", { className: "sl-finding", role: "listitem" },
    make("span", { className: "sl-finding-state" }, shape(one.state), make("span", { text: STATES[one.state] })),
    make("b", { text: one.name }),
    make("div", {}, make("p", {}, ...typed(one.text)),
      ...(one.advice ? [make("p", { className: "sl-todo" }, make("span", { text: "To do" }), ...typed(one.advice))] : []))));
  return make("section", {}, make("h3", { text: section.title }), make("div", { role: "list" }, ...lines));
}

function shape(state) {
  const element = make("span", { className: "sl-shape", ariaHidden: "true" });
  element.dataset.state = state;
  return element;
}

function waiting(isRunning) {
  const text = isRunning ? "The first report comes in a few seconds: versions, GPU, kernels, disk, models, what fits."
    : "Run it to see what is here, what works, what fits, and what to change.";
  return make("div", { className: "sl-empty" },
    make("b", { text: isRunning ? "Looking at this machine" : "Nothing was examined yet" }), make("p", { text }));
}

export function mount(element, options) { return new DoctorPanel(element, options); }
