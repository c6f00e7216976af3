// Blind votes over the whole screen: two pictures of one scene and seed, settings hidden; at the end what they say.
// Knows nothing about what is behind it. A module; the page calls `SidelightVote.open({run})`.

import { make } from "./element.js";
import { PairView } from "./vote_pair.js";
import { VoteQueue } from "./vote_queue.js";
import { resultPage } from "./vote_result.js";

const KEPT = "sidelight:voter";
const PRESSED_MS = 240;
const QUESTIONS = { cheek: "Which skin do you believe more?", whole: "Which picture do you believe more?" };
const KEYS = {
  1: "left", ArrowLeft: "left", 2: "right", ArrowRight: "right", "=": "equal", 0: "equal",
  s: "skip", u: "undo", z: "zoom",
};
const NOTHING = "There is nothing to vote on here: a pair is two finished pictures of one scene and seed that were "
  + "made with other settings. Vary guidance, steps or scheduler over the same seeds.";
const DEFAULTS = {
  run: "",
  among: [], // keys: only the settings of these pictures; all without
  json: (...asked) => window.Sidelight.json(...asked),
  onClose() {}, // (votes) it is closed; whether any vote was cast or taken back
};

class BlindVote {
  constructor(options) {
    this.options = { ...DEFAULTS, ...options };
    Object.assign(this, { queue: null, shown: null, isChanged: false, phase: "who" });
    this.build();
    this.watch();
    document.body.append(this.dialog);
    this.dialog.showModal();
    const by = localStorage.getItem(KEPT);
    if (by) this.vote(by);
    else this.askWho();
  }

  // ---- once

  build() {
    this.question = make("h2", { text: "Blind vote" });
    const larger = "100, 200 or 400 % of the cheek";
    this.zoom = make("button", { type: "button", title: larger, onclick: () => this.do("zoom") });
    this.who = make("button", { type: "button", title: "Somebody else votes", onclick: () => this.askWho() });
    this.leaving = make("button", { type: "button", onclick: () => this.leave() });
    const push = make("span", { className: "sl-push" });
    this.head = make("header", {}, this.question, push, this.zoom, this.who, this.leaving);
    this.view = new PairView((side) => this.do(side));
    this.problem = make("p", { className: "sl-problem", role: "alert", hidden: true });
    this.stage = make("main", {}, this.view.root);
    this.buttons = {
      left: this.button("1", "Left", "left"), equal: this.button("=", "Equal", "equal"),
      right: this.button("2", "Right", "right"), skip: this.button("s", "Skip", "skip"),
      undo: this.button("u", "Undo", "undo"),
    };
    this.bar = make("i");
    this.told = make("span", { role: "status" });
    const far = make("div", { className: "sl-far" }, make("div", { className: "sl-track" }, this.bar), this.told);
    const { left, equal, right, skip, undo } = this.buttons;
    this.foot = make("div", { className: "sl-foot" }, far, make("div", { className: "sl-answers" }, left, equal, right),
      make("div", { className: "sl-others" }, skip, undo));
    this.dialog = make("dialog", { className: "sidelight sl-vote", ariaLabel: "Blind vote" },
      this.head, this.problem, this.stage, this.foot);
  }

  button(key, text, name) {
    return make("button", { type: "button", onclick: () => this.do(name) }, make("kbd", { text: key }), text);
  }

  watch() {
    this.dialog.addEventListener("keydown", (event) => this.onKey(event));
    this.dialog.addEventListener("cancel", (event) => { event.preventDefault(); this.leave(); });
    this.dialog.addEventListener("close", () => this.close());
  }

  // ---- who votes

  askWho() {
    this.setPhase("who");
    this.queue?.end();
    const name = make("input", {
      type: "text", maxLength: 60, required: true, autocomplete: "off", ariaLabel: "Your name",
      value: localStorage.getItem(KEPT) ?? "",
    });
    const begin = make("button", { type: "submit", className: "sl-main", text: "Begin" });
    const form = make("form", { className: "sl-who" }, make("h3", { text: "Who votes?" }),
      make("p", { text: "Two pictures of the same scene and seed, made with different settings. Which is which, and on "
        + "which side, is hidden and drawn anew each time. Cheek at 100 % and whole picture take turns." }),
      make("div", {}, name, begin),
      make("p", { className: "sl-quiet", text: "Every vote is kept in the run with this name. It is asked once." }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!name.value.trim()) return;
      localStorage.setItem(KEPT, name.value.trim());
      this.vote(name.value.trim());
    });
    this.stage.replaceChildren(form);
    name.focus();
    name.select();
  }

  // ---- voting

  vote(by) {
    const { run, among, json } = this.options;
    this.setPhase("vote");
    this.who.textContent = by;
    this.shown = null;
    this.view.clear();
    this.stage.replaceChildren(this.view.root);
    const told = (problem) => { if (queue === this.queue) this.draw(problem); };
    const queue = new VoteQueue({ run, by, among, json, told });
    this.queue = queue;
    this.draw();
    queue.start();
  }

  setPhase(phase) {
    this.phase = phase;
    this.say("");
    this.dialog.dataset.phase = phase;
    const isVoting = phase === "vote";
    this.foot.hidden = this.zoom.hidden = !isVoting;
    this.who.hidden = phase === "who";
    this.question.textContent = phase === "result" ? "What the votes say" : "Blind vote";
    this.dialog.focus();
    this.leaving.replaceChildren(make("kbd", { text: "Esc" }), isVoting ? "Leave and see the result" : "Close");
  }

  draw(problem = "") {
    if (this.phase !== "vote") return;
    const { current, isOver, progress, sent } = this.queue;
    if (problem) this.say(problem);
    if (current && current !== this.shown) this.view.show(current.pair, current.images);
    this.shown = current;
    const isCheek = current?.pair.view === "cheek";
    this.question.textContent = current ? QUESTIONS[current.pair.view] : isOver ? "" : "The next pair is on its way";
    this.zoom.hidden = !current || !isCheek;
    this.zoom.replaceChildren(make("kbd", { text: "z" }), `Cheek ${100 * this.view.zoom} %`);
    for (const [name, button] of Object.entries(this.buttons)) {
      button.ariaDisabled = String(name !== "undo" && !current); // disabled, one with the focus would swallow the keys
    }
    if (!current) this.view.clear();
    this.drawProgress(progress);
    if (!current && isOver && !sent.length) this.finish(progress);
  }

  drawProgress(progress) {
    if (!progress) return;
    const { votes, about, yours, is_narrow: isNarrow } = progress;
    const whose = yours === votes ? "" : `, ${yours} of them yours`;
    this.told.textContent = isNarrow ? `${votes} votes${whose}: the intervals are narrow; more make them narrower`
      : `${votes} of about ${about} votes${whose}, until the intervals are narrow`;
    this.bar.style.width = `${about ? Math.min(100, (100 * votes) / about) : 0}%`;
  }

  // Nothing is left to judge.
  finish({ about, votes }) {
    if (about || votes) this.showResult();
    else this.stage.replaceChildren(make("p", { className: "sl-nothing", text: NOTHING }));
  }

  do(name) {
    if (this.phase !== "vote") return;
    if (name === "zoom") return this.enlarge();
    if (name !== "undo" && !this.queue.current) return;
    this.say("");
    this.isChanged = true;
    this.buttons[name].animate([{ background: "#fff", color: "#111" }, {}], PRESSED_MS);
    if (name === "undo") this.queue.undo();
    else this.queue.say(name);
    this.draw();
  }

  enlarge() {
    this.view.nextZoom();
    this.draw();
  }

  onKey(event) {
    event.stopPropagation(); // no key reaches what is behind
    const { key, target, ctrlKey, metaKey, altKey } = event;
    if (target.matches("input") || altKey || event.repeat) return;
    const isUndo = (ctrlKey || metaKey) && key === "z";
    const name = isUndo ? "undo" : ctrlKey || metaKey ? "" : KEYS[key];
    if (!name || this.phase !== "vote") return;
    event.preventDefault();
    this.do(name);
  }

  say(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }

  // ---- the end

  leave() {
    if (this.phase === "vote" && this.queue.progress?.votes) this.showResult();
    else this.dialog.close();
  }

  async showResult() {
    const { queue } = this;
    this.setPhase("result");
    this.stage.replaceChildren(make("p", { className: "sl-nothing", text: "Counting" }));
    await queue.end();
    try {
      const result = await this.options.json(queue.path);
      if (this.phase === "result") this.stage.replaceChildren(resultPage(result), this.after(queue));
    } catch (error) {
      if (this.phase === "result") this.say(error.message);
    }
  }

  after(queue) {
    const again = () => this.vote(queue.by);
    const on = make("button", { type: "button", text: "Vote on", hidden: queue.isOver, onclick: again });
    return make("div", { className: "sl-after" }, on,
      make("span", { className: "sl-quiet", text: "What you have seen here may lead you; best stop for today." }));
  }

  close() {
    this.queue?.end();
    this.view.resized.disconnect();
    this.dialog.remove();
    this.options.onClose(this.isChanged);
  }
}

window.SidelightVote = { open: (options) => { new BlindVote(options); } };
