// What is thought of one picture, to be said by buttons or keys: pick, reject, stars, ticks for faults, a remark.
// Knows nothing about where marks are kept. A mark: {pick: "pick", "reject" or "none", stars: 0 to 5, faults, remark}.
// A module; the page calls `SidelightMarksBar.mount(element, {onMark})` and `show(target)` on what it answers.

import { choice, make, press } from "./element.js";
import { isTyped } from "./gestures.js";

const FAULTS = ["hands", "teeth", "eyes", "ears", "neck", "hair", "skin", "fabric", "light"];
const NO_MARK = Object.freeze({ pick: "none", stars: 0, faults: Object.freeze([]), remark: "" });
const LONGEST_REMARK = 500;
const NOTHING = { id: "", letters: [], at: -1, name: "", mark: NO_MARK, isMarkable: false };
const DEFAULTS = {
  onMark() {}, // (change, id) some fields of the mark of what was shown by that id
  onUndo() {},
  onRetry() {}, // () what could not be saved is to be tried again
  onLetter() {}, // (at) the marks are for another of the pictures
  onAdvance() {}, // (isOn) whether the next cell comes after a rating
  onLeave() {}, // () the remark is written, or left as it was
};

class MarksBar {
  constructor(element, options) {
    this.options = { ...DEFAULTS, ...options };
    this.target = NOTHING;
    this.isTicking = false; // t was pressed: the next digit ticks a fault
    this.build(element);
    this.draw();
  }

  build(element) {
    const { onLetter, onUndo, onRetry, onAdvance } = this.options;
    this.letters = choice("Marks are for", ["A", "B", "C", "D"].map((letter, at) => [letter, at, `Mark ${letter}`]),
      (at) => onLetter(Number(at)));
    this.name = make("span", { className: "sl-what" });
    this.picks = choice("Pick", [["Pick", "pick", "Pick (p)"], ["Reject", "reject", "Reject (x)"]], (pick) =>
      this.pick(pick));
    this.stars = choice("Stars", [1, 2, 3, 4, 5].map((stars) => ["★", stars, `${stars} (${stars}); again: none`]),
      (stars) => this.say({ stars: this.target.mark.stars === Number(stars) ? 0 : Number(stars) }));
    this.stars.classList.add("sl-stars");
    for (const star of this.stars.children) star.ariaLabel = `${star.value} ${star.value === "1" ? "star" : "stars"}`;
    this.faults = choice("Faults", FAULTS.map((fault, at) => [fault, fault, `Tick ${fault} (t ${at + 1})`]),
      (fault) => this.tick(fault));
    this.remark = make("input", { type: "text", maxLength: LONGEST_REMARK, ariaLabel: "Remark",
      placeholder: "Remark", title: "One line (/)", autocomplete: "off" });
    this.advance = make("input", { type: "checkbox", className: "sl-check" });
    this.advance.onchange = () => onAdvance(this.advance.checked);
    this.undo = make("button", { type: "button", text: "Undo", title: "Undo the last mark (Ctrl Z)", onclick: onUndo });
    this.problem = make("span", { className: "sl-problem", role: "alert" });
    this.retry = make("button", { type: "button", text: "Save again", hidden: true, onclick: onRetry });
    const after = "Go to the next picture after stars, pick or reject";
    const next = make("label", { className: "sl-field", title: after }, this.advance, "Then next");
    const first = make("div", { className: "sl-line" }, this.letters, this.name, this.picks, this.stars, this.remark);
    const second = make("div", { className: "sl-line" }, this.faults, make("span", { className: "sl-push" }),
      this.problem, this.retry, next, this.undo);
    this.root = make("div", { className: "sidelight sl-marksbar", role: "group", ariaLabel: "Marks" }, first, second);
    this.watch();
    element.replaceChildren(this.root);
  }

  watch() {
    this.remark.addEventListener("change", () => this.keepRemark());
    this.remark.addEventListener("keydown", (event) => {
      if (!["Enter", "Escape"].includes(event.key) || event.isComposing) return;
      event.stopPropagation();
      if (event.key === "Escape") this.remark.value = this.target.mark.remark;
      this.remark.blur();
      this.options.onLeave();
    });
    this.root.addEventListener("focusout", () => this.setTicking(false));
  }

  // What the marks are for: {id, letters, at, name, mark, isMarkable}. A remark that is being written stays, or is kept
  // where it was written if something else is shown.
  show(target) {
    const before = this.target, written = this.remark.value.trim(), isOther = target.id !== before.id;
    this.target = { ...NOTHING, ...target, mark: { ...NO_MARK, ...target.mark } };
    if (isOther || document.activeElement !== this.remark) this.remark.value = this.target.mark.remark;
    this.draw();
    const isUnsaid = isOther && before.isMarkable && written !== before.mark.remark;
    if (isUnsaid) this.options.onMark({ remark: written }, before.id);
  }

  draw() {
    const { letters, at, name, mark, isMarkable } = this.target;
    [...this.letters.children].forEach((button, i) => { button.hidden = i >= letters.length; });
    press(this.letters, at);
    this.name.textContent = at < 0 ? name : "";
    this.name.title = name;
    press(this.picks, mark.pick);
    for (const star of this.stars.children) star.ariaPressed = String(Number(star.value) <= mark.stars);
    for (const fault of this.faults.children) fault.ariaPressed = String(mark.faults.includes(fault.value));
    for (const each of [this.picks, this.stars, this.faults]) {
      for (const button of each.children) button.disabled = !isMarkable;
    }
    this.remark.disabled = !isMarkable;
  }

  // ---- what a person says

  say(change) { if (this.target.isMarkable) this.options.onMark(change, this.target.id); }

  pick(name) { this.say({ pick: this.target.mark.pick === name ? "none" : name }); }

  tick(fault) {
    const { faults } = this.target.mark;
    this.say({ faults: faults.includes(fault) ? faults.filter((each) => each !== fault) : [...faults, fault] });
  }

  keepRemark() {
    const remark = this.remark.value.trim();
    if (remark !== this.target.mark.remark) this.say({ remark });
  }

  setTicking(isOn) {
    this.isTicking = isOn;
    this.root.classList.toggle("sl-ticking", isOn);
  }

  // ---- keys

  // Answers whether the key was a mark's.
  onKey(event) {
    if (isTyped(event.target)) return false;
    const key = event.key.toLowerCase();
    const isUndo = key === "z" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (!isUndo && (event.ctrlKey || event.metaKey || event.altKey)) return false;
    const action = isUndo ? this.options.onUndo : this.isTicking ? this.ticking(key) : this.actions()[key];
    if (!action) return false;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) action();
    return true;
  }

  // After t: a digit ticks, any other key is the end of it and nothing else.
  ticking(key) {
    const fault = FAULTS[Number(key) - 1];
    if (["shift", "alt", "control", "meta"].includes(key)) return null;
    return () => {
      this.setTicking(false);
      if (fault) this.tick(fault);
    };
  }

  actions() {
    const actions = {
      p: () => this.pick("pick"), x: () => this.pick("reject"), u: () => this.say({ ...NO_MARK }),
      t: () => this.setTicking(this.target.isMarkable), "/": () => this.remark.focus(),
    };
    for (const stars of [0, 1, 2, 3, 4, 5]) actions[stars] = () => this.say({ stars });
    return actions;
  }

  // One line about what was not saved, or of what was undone.
  tell(text, isLost) {
    this.problem.textContent = text;
    this.retry.hidden = !isLost;
  }
}

window.SidelightMarksBar = {
  mount(element, options) {
    const bar = new MarksBar(element, options);
    return {
      show: (target) => bar.show(target),
      tell: (text, isLost = false) => bar.tell(text, isLost),
      setAdvance: (isOn) => { bar.advance.checked = isOn; },
      keepRemark: () => bar.keepRemark(),
      onKey: (event) => bar.onKey(event),
    };
  },
};
