// The line above a run's grid: its name, how far it is, how long it takes, and how to steer it. Knows nothing about
// routes: what is wished is told to whoever mounts it.

import { make } from "./element.js";
import { FINISHING } from "./queue_words.js";

const BUTTONS = [
  ["pause", "Pause"], ["resume", "Resume"], ["after this cell", "Stop after this cell"], ["cancel", "Cancel"],
  ["retry", "Retry failed"],
];
const WISHED = { pause: "pausing", cancel: "cancelling", "after this cell": "stops after this cell" };

export class RunLine {
  // onWish(wish), onCompare()
  constructor({ onWish, onCompare }) {
    this.title = make("b", { className: "sl-title" });
    this.bar = make("i");
    this.meter = make("span", { className: "sl-meter", role: "progressbar", ariaLabel: "Pictures done" }, this.bar);
    this.told = make("span", { className: "sl-far" });
    this.problem = make("span", { className: "sl-problem" });
    this.buttons = new Map(BUTTONS.map(([wish, text]) =>
      [wish, make("button", { type: "button", text, hidden: true, onclick: () => onWish(wish) })]));
    const compare = make("button", { type: "button", text: "Compare", onclick: onCompare });
    this.root = make("div", { className: "sl-tools sl-run-line", role: "toolbar", ariaLabel: "This run", hidden: true },
      this.title, this.meter, this.told, this.problem, make("span", { className: "sl-push" }),
      ...this.buttons.values(), compare);
    Object.assign(this, { progress: null, job: null });
  }

  tellGrid({ title, progress }) {
    if (title) this.title.textContent = this.title.title = title;
    this.progress = progress;
    this.draw();
  }

  tellLive({ job }) {
    this.job = job;
    this.draw();
  }

  draw() {
    if (!this.progress) return;
    const { cells, done, failed, session, reason } = this.progress;
    this.root.hidden = false;
    this.bar.style.transform = `scaleX(${cells ? done / cells : 0})`;
    Object.assign(this.meter, { ariaValueMin: "0", ariaValueMax: String(cells), ariaValueNow: String(done) });
    const isMaking = this.job?.state === "running" && !this.job.wish && done + failed < cells;
    const left = isMaking ? timeOf(this.job.seconds_left) : "";
    const state = stateOf(this.job, { cells, done, failed, session });
    const words = [`${done} of ${cells}`, failed ? `${failed} failed` : "", state, left];
    this.told.textContent = words.filter(Boolean).join(" · ");
    const why = this.job?.state === "failed" || this.job?.state === "paused" ? this.job.error : "";
    this.problem.textContent = this.problem.title = why || (session === "paused" && !this.job ? reason : "");
    const can = wishesOf(this.job, { cells, done, failed });
    for (const [wish, button] of this.buttons) button.hidden = !can.includes(wish);
  }
}

function stateOf(job, { cells, done, failed, session }) {
  if (job?.wish) return WISHED[job.wish];
  if (job?.state === "running") return done + failed < cells ? "running" : FINISHING;
  if (job?.state === "waiting") return "waiting in the queue";
  if (job?.state === "paused" || job?.state === "cancelled") return job.state;
  if (done === cells) return "done";
  return session === "started" || done + failed === cells ? "" : "not finished";
}

function wishesOf(job, { cells, done, failed }) {
  if (job?.wish) return job.wish === "cancel" ? [] : ["resume", "cancel"];
  if (job?.state === "running") return ["pause", "after this cell", "cancel"];
  if (job?.state === "waiting") return ["pause", "cancel"];
  if (job?.state === "paused") return ["resume", "cancel"];
  if (failed) return ["retry"];
  return done < cells ? ["resume"] : [];
}

function timeOf(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s left`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min left` : `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}
