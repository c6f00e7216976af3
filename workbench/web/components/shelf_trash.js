// What lies in the trash: put back one by one, or all deleted for good. Knows nothing about where it lies.

import { make } from "./element.js";
import { bytesText, many } from "./shelf_find.js";

const EMPTY = "A run that you delete comes here first, and can be put back.";

export class TrashView {
  // `restore(id)` and `empty(ids)` answer promises; `leave` goes back to the list.
  constructor({ restore, empty, leave }) {
    Object.assign(this, { restore, empty });
    this.isAsking = false;
    this.head = make("div", { className: "sl-trash-head" });
    this.rows = make("ul", { className: "sl-trash-rows", ariaLabel: "Runs in the trash" });
    this.problem = make("p", { className: "sl-problem", role: "alert" });
    this.back = make("button", { type: "button", text: "Back to the runs", onclick: leave });
    this.root = make("div", { className: "sl-trash", hidden: true }, this.head, this.problem, this.rows);
  }

  take({ runs, bytes }) {
    const told = JSON.stringify(runs);
    if (told === this.told) return;
    Object.assign(this, { told, runs, bytes, isAsking: false });
    this.draw();
  }

  draw() {
    const { runs, bytes } = this;
    const text = runs.length ? `${many(runs.length, "run")} in the trash, ${bytesText(bytes)}` : "The trash is empty";
    const title = make("b", { text });
    const push = make("span", { className: "sl-push" });
    const buttons = runs.length ? this.emptying() : [];
    this.head.replaceChildren(title, push, ...buttons, ...(this.isAsking ? [] : [this.back]));
    this.rows.replaceChildren(...runs.map((run) => this.rowOf(run)));
    if (!runs.length) this.rows.append(make("li", { className: "sl-none", text: EMPTY }));
  }

  // Asked once, in place: no dialog to click away.
  emptying() {
    if (!this.isAsking) {
      return [make("button", { type: "button", text: "Empty the trash…", onclick: () => this.ask(true) })];
    }
    const text = `Delete ${many(this.runs.length, "run")} for good? ${bytesText(this.bytes)} become free, and nothing `
      + "brings them back.";
    const sure = make("button", { type: "button", text: "Delete for good" });
    sure.onclick = () => this.act(() => this.empty(this.runs.map((run) => run.id)));
    const keep = make("button", { type: "button", text: "Keep them", onclick: () => this.ask(false) });
    return [make("span", { text, role: "status" }), sure, keep];
  }

  ask(isAsking) {
    this.isAsking = isAsking;
    this.draw();
    this.head.querySelectorAll("button")[isAsking ? 1 : 0].focus(); // on what keeps them
  }

  rowOf({ id, name, when, bytes }) {
    const at = new Date(when).toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "short" });
    const restore = make("button", { type: "button", text: "Restore", ariaLabel: `Restore ${name}` });
    restore.onclick = () => this.act(() => this.restore(id));
    return make("li", {}, make("b", { text: name }), make("span", { text: `deleted ${at}` }),
      make("span", { className: "sl-bytes", text: bytesText(bytes) }), restore);
  }

  async act(work) {
    try {
      this.problem.textContent = "";
      await work();
    } catch (error) {
      this.problem.textContent = String(error.message ?? error);
    }
  }
}
