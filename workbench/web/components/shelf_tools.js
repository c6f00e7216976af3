// The search line over the list of runs: words, checkpoint, dates, rating, state. Knows nothing about the list.

import { make } from "./element.js";
import { STATES } from "./shelf_find.js";

const ratings = [1, 2, 3, 4, 5].map((stars) => [`${"★".repeat(stars)}${stars < 5 ? " or more" : ""}`, String(stars)]);

export class Tools {
  // `hear` is called after every change, `leave` when the keys go back to the list, `help` shows all keys.
  constructor({ hear, leave, help }) {
    this.hear = hear;
    this.text = make("input", { type: "search", className: "sl-search", ariaLabel: "Search runs", oninput: hear });
    this.text.placeholder = "Name, prompt or remark";
    this.text.onkeydown = (event) => this.onKey(event, leave);
    this.checkpoint = this.select("Checkpoint", [["any checkpoint", ""]]);
    this.since = this.day("From");
    this.until = this.day("To");
    this.stars = this.select("Rating", [["any rating", "0"], ...ratings]);
    this.state = this.select("State", STATES);
    this.clear = make("button", { type: "button", text: "Clear", title: "Show all runs again", hidden: true });
    this.clear.onclick = () => this.reset();
    const keys = make("button", { type: "button", text: "?", title: "All keys", ariaLabel: "All keys", onclick: help });
    const day = (text, field) => make("label", { className: "sl-field", text }, field);
    const fields = [this.text, this.checkpoint, this.stars, this.state, day("From", this.since), day("to", this.until)];
    const push = make("span", { className: "sl-push" });
    this.root = make("div", { className: "sl-tools", role: "search" }, ...fields, this.clear, push, keys);
  }

  select(name, values) {
    const options = values.map(([text, value]) => make("option", { text, value }));
    return make("select", { ariaLabel: name, onchange: this.hear }, ...options);
  }

  day(name) { return make("input", { type: "date", ariaLabel: `${name} day`, onchange: this.hear }); }

  onKey(event, leave) {
    if (event.key === "Escape" && this.text.value) {
      this.text.value = "";
      this.hear();
    } else if (!["Escape", "Enter", "ArrowDown"].includes(event.key)) return;
    else leave();
    event.preventDefault();
  }

  // Checkpoints that some run used; the chosen one stays.
  setCheckpoints(names) {
    const known = [...this.checkpoint.options].slice(1).map((option) => option.value);
    if (known.join("\n") === names.join("\n")) return;
    const chosen = this.checkpoint.value;
    this.checkpoint.replaceChildren(make("option", { text: "any checkpoint", value: "" }),
      ...names.map((name) => make("option", { text: name, value: name, selected: name === chosen })));
  }

  wanted() {
    const wanted = {
      text: this.text.value.trim(), checkpoint: this.checkpoint.value, since: this.since.value, until: this.until.value,
      stars: Number(this.stars.value), state: this.state.value,
    };
    for (const field of [this.since, this.until]) field.classList.toggle("sl-unset", !field.value);
    this.clear.hidden = !this.isNarrowed(wanted);
    return wanted;
  }

  isNarrowed({ text, checkpoint, since, until, stars, state }) {
    return Boolean(text || checkpoint || since || until || stars || state !== "any");
  }

  reset() {
    for (const field of [this.text, this.checkpoint, this.since, this.until]) field.value = "";
    this.stars.value = "0";
    this.state.value = "any";
    this.hear();
    this.text.focus();
  }
}
