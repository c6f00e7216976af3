// The line below the grid: how much is done, what failed, what went wrong. Knows nothing about cells.

import { make } from "./element.js";

const REST = { paused: "paused", cancelled: "cancelled", failed: "not made", done: "not made", finished: "not made" };
const SPOKEN_EVERY_MS = 10_000;

// What to call pictures that are not made yet: by the run's job, without one by how its last process ended.
export function restOf(job, session) { return REST[job ? job.state : session] ?? "waiting"; }

export class GridStatus {
  constructor(nextFailed) {
    const problem = () => make("span", { className: "sl-problem", role: "alert" });
    this.counts = make("span");
    this.failed = make("button", { type: "button", hidden: true, title: "Go to the next failed cell (n)" });
    this.failed.onclick = nextFailed;
    this.said = { news: problem(), marks: problem() };
    this.spoken = make("span", { className: "sl-spoken", ariaLive: "polite" });
    this.spokenAt = 0;
    const said = Object.values(this.said);
    this.root = make("div", { className: "sl-status" }, this.counts, this.failed, ...said, this.spoken);
  }

  // `states` holds the state of every picture, `waiting` is the word for those that are not made yet.
  draw(states, waiting) {
    const count = (state) => states.filter((each) => each === state).length;
    const words = [["live", "being made"], ["waiting", waiting], ["skipped", "skipped"]];
    const rest = words.filter(([state]) => count(state)).map(([state, word]) => `${count(state)} ${word}`);
    const done = `${count("done")} of ${states.length}`, failed = count("failed");
    this.counts.replaceChildren(make("b", { text: done }), ` done${rest.length ? `, ${rest.join(", ")}` : ""}`);
    this.counts.hidden = !states.length;
    this.failed.hidden = !failed;
    this.failed.textContent = `${failed} failed`;
    if (Date.now() - this.spokenAt < SPOKEN_EVERY_MS) return;
    this.spokenAt = Date.now();
    this.spoken.textContent = `${done} done${failed ? `, ${failed} failed` : ""}`;
  }

  say(about, text) {
    if (this.said[about].textContent !== text) this.said[about].textContent = text;
  }
}
