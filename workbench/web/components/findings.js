// What a run says about its checkpoint: findings in words, with their evidence, and what can be done with them.
// Knows nothing about routes. A module; the page calls `SidelightFindings.mount(element, options)`, then `show(told)`
// with {findings: `sweeps.findings.Findings` or null, command, can_add, time, why_not, measures,
// progress: {measured, of, is_measuring, fault}, pictureOf(key) -> {url, thumb}, cheek: [x, y, width, height] or null}.

import { make } from "./element.js";
import { cardOf } from "./findings_card.js";
import { COUNTED, checkpointsOf, count, headline } from "./findings_words.js";

const UNVARIED = "A finding is made of guidance, steps, schedulers or engines that vary, over several seeds.";
const UNMEASURED = "Findings rest on measures of the skin. Nothing of this run is measured yet.";
const EARLY = "Nothing can be said yet: pictures are still being measured.";
const SHOWN_UNSETTLED = 1, UNSETTLED = "unsettled";
const DEFAULTS = { // a button whose handler is missing is not there
  canFold: false,
  isFolded: false,
  onFold() {}, // (isFolded)
  onOpen() {}, // (keys) the pictures are to be looked at, on the cheek
  onMeasure: null, // ()
  onKeep: null, // (checkpoint)
  onAdd: null, // ()
  onVote: null, // ()
  onAdvice: null, // (key)
  onCopy: null, // (command)
};

class FindingsPanel {
  constructor(element, options) {
    this.options = { ...DEFAULTS, ...options };
    this.isFolded = this.options.canFold && this.options.isFolded;
    this.folds = new Set();
    this.line = make("span", { className: "sl-headline" });
    this.about = make("span", { className: "sl-quiet" });
    this.actions = make("span", { className: "sl-actions" });
    this.fold = make("button", { type: "button", className: "sl-fold", onclick: () => this.setFolded(!this.isFolded) });
    this.fold.hidden = !this.options.canFold;
    const title = make("h3", { text: "Findings" });
    const head = make("header", { className: "sl-findings-head" }, this.fold, title, this.line, this.about,
      make("span", { className: "sl-push" }), this.actions);
    this.problem = make("p", { className: "sl-problem", role: "alert", hidden: true });
    this.cards = make("div", { className: "sl-cards" });
    this.root = make("section", { className: "sidelight sl-findings", ariaLabel: "Findings", hidden: true },
      head, this.problem, this.cards);
    element.replaceChildren(this.root);
    this.drawFold();
  }

  // What is shown stays, with what is folded open in it, until something else is told.
  show(told) {
    const before = this.before;
    this.before = JSON.stringify([told, Object.entries(this.options).map(([, each]) => Boolean(each))]);
    if (this.before === before) return;
    this.told = told;
    this.root.hidden = !told.progress.of;
    this.drawHead();
    this.drawCards();
  }

  setFolded(isFolded) {
    this.isFolded = isFolded;
    this.drawFold();
    this.options.onFold(isFolded);
  }

  drawFold() {
    this.fold.textContent = this.isFolded ? "▸" : "▾";
    this.fold.title = this.fold.ariaLabel = this.isFolded ? "Show the findings" : "Fold the findings away";
    this.fold.ariaExpanded = String(!this.isFolded);
    this.cards.hidden = this.isFolded;
    this.root.classList.toggle("sl-folded", this.isFolded);
  }

  drawHead() {
    const { findings, progress: { measured, of, is_measuring: isMeasuring, fault } } = this.told;
    const all = findings?.findings ?? [];
    const counts = Object.entries(COUNTED).map(([state, word]) => {
      const number = all.filter((each) => each.state === state).length;
      return number && `${number} ${word}`;
    });
    this.line.textContent = findings ? headline(all, { isMeasuring }) : "";
    this.line.title = this.line.textContent;
    const how = isMeasuring ? `measuring: ${measured} of ${of} so far` : `${measured} of ${of} measured`;
    const votes = findings?.votes ? count(findings.votes, "blind vote") : "";
    this.about.textContent = [...counts, how, fault, votes].filter(Boolean).join(" · ");
    const at = [...this.actions.children].indexOf(document.activeElement);
    this.actions.replaceChildren(...this.buttons());
    this.actions.children[at]?.focus();
  }

  buttons() {
    const { findings, command, can_add: canAdd, time, progress } = this.told, { options } = this;
    const button = (text, act, title = "", className = "") =>
      make("button", { type: "button", text, title, className, onclick: () => this.act(act) });
    const isOver = !progress.is_measuring, left = isOver ? progress.of - progress.measured : 0;
    const told = findings?.findings.filter(({ state }) => state !== "none") ?? [];
    const checkpoints = [...new Set(told.flatMap(checkpointsOf))];
    const keep = (name) => button(checkpoints.length > 1 ? `Keep for ${name}` : "Keep as note",
      () => options.onKeep(name), `Keep what was found as the note of ${name}; Create starts from it`, "sl-main");
    const adding = "Adds exactly the cells that would settle what is open, and queues them";
    return [
      ...(options.onMeasure && left ? [button(`Measure ${count(left, "picture")}`, options.onMeasure)] : []),
      ...(options.onKeep && isOver ? checkpoints.map(keep) : []),
      ...(options.onAdd && canAdd && isOver ? [button(`Add these ${count(canAdd, "cell")}`, options.onAdd,
        [adding, time].filter(Boolean).join("; "))] : []),
      ...(options.onVote && progress.of > 1 ? [button("Vote blind", options.onVote,
        "Two pictures without their settings: say which skin you would keep")] : []),
      ...(options.onCopy && command ? [button("Copy command", () => options.onCopy(command), command)] : []),
    ];
  }

  drawCards() {
    const { findings } = this.told;
    const acts = { open: (keys) => this.options.onOpen(keys), advice: this.options.onAdvice };
    const about = { ...this.told, folds: this.folds };
    const quiet = (text) => make("p", { className: "sl-quiet", text });
    const { is_measuring: isMeasuring } = this.told.progress, unvaried = isMeasuring ? EARLY : UNVARIED;
    if (!findings?.measured) return this.cards.replaceChildren(quiet(isMeasuring ? EARLY : UNMEASURED));
    const cards = this.parted(findings.findings, (each) => cardOf({ ...each, id: idOf(each) }, about, acts));
    const why = this.told.why_not && `No cells can be added: ${this.told.why_not}`;
    const foot = [why, findings.validated].filter(Boolean).map(quiet);
    this.cards.replaceChildren(...(cards.length ? cards : [quiet(unvaried)]), ...foot);
  }

  // What was found comes first; many that were not are folded together.
  parted(findings, draw) {
    const isSaid = ({ state }) => state !== "none";
    const found = findings.filter(isSaid), rest = findings.filter((each) => !isSaid(each));
    if (!found.length || rest.length <= SHOWN_UNSETTLED) return [...found, ...rest].map(draw);
    const box = make("details", { className: "sl-unsettled", open: this.folds.has(UNSETTLED) },
      make("summary", { text: `${rest.length} without a finding` }), ...rest.map(draw));
    box.ontoggle = () => (box.open ? this.folds.add(UNSETTLED) : this.folds.delete(UNSETTLED));
    return [...found.map(draw), box];
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

function idOf({ kind, checkpoint, held, between }) { return JSON.stringify([kind, checkpoint, held, between]); }

window.SidelightFindings = {
  mount(element, options = {}) {
    const panel = new FindingsPanel(element, options);
    return {
      show: (told) => panel.show(told),
      say: (text) => panel.say(text),
      destroy: () => panel.root.remove(),
    };
  },
};
