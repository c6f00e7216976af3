// One job of the queue as a row of cells, of which only those that changed are drawn again. Knows nothing about the
// other rows, or about where wishes go.

import { make } from "./element.js";
import { clock, countOf, leftOf, noteOf, shareOf, stateOf } from "./queue_words.js";

const BUTTONS = {
  pause: ["Pause", "Pause: whole pictures stay, what is half made is made again later (p)"],
  resume: ["Resume", "Let it wait again, at its old place (p)"],
  "after this cell": ["After this cell", "Pause when the next picture is whole (a)"],
  top: ["Top", "Before all others (t)"],
  up: ["↑", "One place up (u)"],
  down: ["↓", "One place down (d)"],
  retry: ["Retry", "Make what is missing or has failed; whole pictures stay (r)"],
  cancel: ["Cancel", "Cancel: whole pictures stay, and Retry brings it back (x)"],
};
const OPPOSITE = { pause: "resume", resume: "pause", cancel: "retry", retry: "cancel" };

export class Row {
  // `wished(wish)` and `opened()` hear what is asked of this job.
  constructor(job, { wished, opened }) {
    Object.assign(this, { wished, opened });
    this.problem = "";
    this.said = {};
    this.buttons = new Map();
    this.cells = Object.fromEntries(["state", "run", "progress", "time", "failed", "wishes"].map((name) =>
      [name, make("div", { className: `sl-job-${name}`, role: "gridcell" })]));
    this.element = make("div", { className: "sl-job", role: "row", tabIndex: -1 }, ...Object.values(this.cells));
    this.element.dataset.job = job.id;
    this.show(job);
  }

  show(job) {
    this.job = job;
    this.draw("state", [job.state, stateOf(job)], drawState);
    this.draw("run", [job.name, job.kind, job.run ?? job.folder, Boolean(job.run), noteOf(job), this.problem],
      (...words) => drawRun(this.opened, ...words));
    this.draw("progress", [countOf(job), shareOf(job), job.name], drawProgress);
    this.draw("time", [job.ended ? `ended ${clock(job.ended)}` : leftOf(job)], (text) => [text]);
    this.draw("failed", [job.failed ? `${job.failed} failed` : ""], (text) => [text]);
    this.draw("wishes", job.can, (...can) => this.drawButtons(can));
    this.name();
  }

  fail(problem) {
    this.problem = problem;
    this.show(this.job);
  }

  // Only the row that was walked to takes part in Tab's order.
  makeCurrent(isCurrent) {
    this.isCurrent = isCurrent;
    for (const each of [this.element, ...this.element.querySelectorAll("button")]) each.tabIndex = isCurrent ? 0 : -1;
  }

  draw(name, values, parts) {
    const said = JSON.stringify(values);
    if (this.said[name] === said) return;
    this.said[name] = said;
    this.cells[name].replaceChildren(...parts(...values));
    this.makeCurrent(this.isCurrent ?? false);
  }

  drawButtons(can) {
    const held = document.activeElement, asked = held.value, hadFocus = this.cells.wishes.contains(held);
    const buttons = can.map((wish) => this.buttons.get(wish) ?? this.button(wish));
    this.buttons = new Map(buttons.map((button) => [button.value, button]));
    const next = this.buttons.get(asked) ?? this.buttons.get(OPPOSITE[asked]) ?? this.element;
    if (hadFocus) queueMicrotask(() => next.focus());
    return buttons;
  }

  button(wish) {
    const [text, title] = BUTTONS[wish];
    return make("button", {
      type: "button", text, title, value: wish, ariaLabel: text.length > 1 ? text : title,
      onclick: () => this.wished(wish),
    });
  }

  name() {
    const { job } = this;
    const parts = [job.name, stateOf(job), countOf(job), leftOf(job), job.failed ? `${job.failed} failed` : "",
      noteOf(job)];
    const name = parts.filter(Boolean).join(", ");
    if (this.element.ariaLabel !== name) this.element.ariaLabel = name;
  }
}

function drawState(state, words) {
  const shape = make("span", { className: "sl-shape", ariaHidden: "true" });
  shape.dataset.state = state;
  return [shape, make("span", { text: words })];
}

function drawRun(opened, name, kind, place, canOpen, note, problem) {
  const title = canOpen ? `Open ${place} (Enter)` : place;
  const link = canOpen
    ? make("button", { type: "button", className: "sl-job-name", text: name, title, onclick: opened })
    : make("span", { className: "sl-job-name", text: name, title });
  const quiet = make("span", { className: "sl-job-place", text: kind === "picture" ? "picture" : place, title: place });
  const parts = [make("div", { className: "sl-job-named" }, link, quiet)];
  if (note) parts.push(make("div", { className: "sl-job-note", text: note, title: note }));
  if (problem) parts.push(make("div", { className: "sl-job-note sl-problem", role: "alert", text: problem }));
  return parts;
}

function drawProgress(count, share, name) {
  const bar = make("span", { className: "sl-bar", role: "progressbar", ariaLabel: name }, make("i"));
  bar.ariaValueMin = "0";
  bar.ariaValueMax = "100";
  bar.ariaValueNow = String(Math.floor(100 * share));
  bar.ariaValueText = count || "not counted yet";
  bar.firstChild.style.transform = `scaleX(${share})`;
  return [bar, make("span", { text: count })];
}
