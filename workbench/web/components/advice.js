// Advice on one picture: what is wrong, what it rests on, and buttons that do what mends it. Knows no rule.
// A module; any part calls `SidelightAdvice.open({run, key})`, or `open({picture: ID})` for one of the Face tab.

import { make, typed } from "./element.js";

const TABS = { create: "Create", sweep: "Sweep", face: "Face" };
const LOOKING = "The picture is measured: that takes a second or two.";
const LATER = "Only if that did not help";
const NOTHING = "Nothing here can mend it. What there is to know stands above.";
let panel = null;

class Advice {
  constructor() {
    this.name = make("span", { className: "sl-advice-name" });
    this.body = make("div", { className: "sl-advice-body", ariaLive: "polite" });
    const close = make("button", { type: "button", text: "Close", onclick: () => this.dialog.close() });
    const head = make("header", {}, make("h2", { text: "Advice", id: "sl-advice-title" }), this.name, close);
    this.dialog = make("dialog", { className: "sl-advice" }, head, this.body);
    this.dialog.setAttribute("aria-labelledby", "sl-advice-title");
    this.dialog.addEventListener("keydown", (event) => event.stopPropagation());
    document.body.append(make("div", { className: "sidelight sl-advice-at" }, this.dialog));
  }

  // `onRepair({mask, values})` takes over where the picture is open in the Face tab already.
  async open(picture, { onRepair = null } = {}) {
    const asked = this.asked = Symbol("advice");
    Object.assign(this, { picture, onRepair });
    this.name.textContent = "";
    this.body.replaceChildren(make("p", { className: "sl-quiet", text: LOOKING }));
    if (!this.dialog.open) this.dialog.showModal();
    try {
      const told = await window.Sidelight.json(this.path);
      if (asked === this.asked) this.show(told);
    } catch (error) {
      if (asked === this.asked) this.say(error.message);
    }
  }

  get path() {
    const { run, key, picture } = this.picture, of = encodeURIComponent;
    return picture ? `/api/advice/pictures/${of(picture)}` : `/api/advice/runs/${of(run)}/${of(key)}`;
  }

  say(text) { this.body.replaceChildren(make("p", { className: "sl-problem", role: "alert", text })); }

  show({ name, steps, first, note }) {
    this.told = steps;
    const parts = steps.map((step, at) => this.step(step, at, at === first));
    const chosen = first ?? steps.length, later = parts.slice(chosen + 1);
    this.name.textContent = [name, note && `note of ${note}`].filter(Boolean).join(" · ");
    this.problem = make("p", { className: "sl-problem", role: "alert", hidden: true });
    this.body.replaceChildren(...parts.slice(0, chosen + 1));
    if (first === null) this.body.append(make("p", { className: "sl-quiet", text: NOTHING }));
    this.body.append(this.problem);
    if (later.length) this.body.append(laterOf(later));
    this.body.querySelector(".sl-main")?.focus();
  }

  step(step, at, isFirst) {
    const { problem, rests_on: rests, why, called, remedy, job } = step;
    const kind = isFirst ? "sl-first" : remedy === "nothing" ? "sl-to-know" : "";
    const what = make("h3", {}, make("span", { className: "sl-remedy", text: called }), sentence(problem));
    const reasons = rests.flatMap(([name, text]) => [make("dt", { text: name }), make("dd", { text })]);
    const parts = [what, make("dl", {}, ...reasons), make("p", {}, ...typed(sentence(why)))];
    return make("section", { className: `sl-advised ${kind}` }, ...parts, ...(job ? this.acts(job, at, isFirst) : []));
  }

  acts(job, at, isFirst) {
    const button = (text, onclick, isMain) =>
      make("button", { type: "button", text, onclick, className: isMain && isFirst ? "sl-main" : "" });
    const queueing = ({ target }) => this.make(at, target);
    const making = job.makes && job.cells ? [button(countOf(job.cells), queueing, true)] : [];
    const opening = this.opening(job).map(([text, open], index) => button(text, open, !making.length && !index));
    const command = job.command ? [button("Copy command", ({ target }) => this.copy(job.command, target))] : [];
    const buttons = [...making, ...opening, ...command];
    const needs = job.fault || job.needs_here;
    return [
      ...(buttons.length ? [make("div", { className: "sl-advice-acts" }, ...buttons)] : []),
      ...(needs ? [make("p", { className: "sl-quiet", text: sentence(needs) })] : []),
      ...(job.command ? [make("code", { text: job.command, tabIndex: 0 })] : []),
    ];
  }

  // The places where a job opens, each with what opens it.
  opening(job) {
    const { run, key } = this.picture, page = window.Sidelight;
    const go = (words, more) => [[words, () => this.leave(() => page.open(run, more))]];
    if (job.keys.length) return go("Compare both", { cells: job.keys, tab: "compare" });
    if (job.tab === "runs") return go("Open in Runs", { tab: "runs" });
    if (job.masks.length) return [["Open in Face", () => this.leave(() => this.repair(job))]];
    if (!job.toml) return [];
    const fill = () => page.hand(job.tab, { run, key, toml: job.toml });
    return [[`Open in ${TABS[job.tab]}`, () => this.leave(fill)]];
  }

  repair(job) {
    const values = Object.fromEntries(Object.entries(job.given).map(([name, texts]) => [name, texts.join(", ")]));
    const asked = { mask: job.masks[0], values };
    if (this.onRepair) this.onRepair(asked);
    else window.Sidelight.hand("face", { ...this.picture, ...asked });
  }

  async make(step, button) {
    button.disabled = true;
    try {
      const body = { step, problem: this.told[step].problem };
      const { run, cells } = await window.Sidelight.json(this.path, { method: "POST", body });
      this.leave(() => window.Sidelight.say(`${cells === 1 ? "1 picture is" : `${cells} pictures are`} queued.`,
        { label: "Show the run", action: () => window.Sidelight.open(run, { tab: "sweep" }) }));
    } catch (error) {
      button.disabled = false;
      this.refuse(error.message);
    }
  }

  async copy(command, button) {
    const isCopied = await navigator.clipboard?.writeText(command).then(() => true, () => false);
    if (isCopied) button.textContent = "Copied";
    else this.refuse("The browser does not let this page copy; select the command by hand.");
  }

  refuse(text) {
    this.problem.hidden = false;
    this.problem.textContent = text;
  }

  leave(then) {
    this.dialog.close();
    then();
  }
}

function laterOf(parts) {
  const summary = make("summary", { text: `${LATER} (${parts.length})` });
  return make("details", { className: "sl-later" }, summary, ...parts);
}

function countOf(cells) { return cells === 1 ? "Make this picture" : `Make these ${cells} pictures`; }

function sentence(text) {
  const [first = "", ...rest] = text;
  return `${first.toUpperCase()}${rest.join("")}${/[.!?]$/.test(text) ? "" : "."}`;
}

window.SidelightAdvice = {
  open(picture, options) {
    panel ??= new Advice();
    return panel.open(picture, options);
  },
};
