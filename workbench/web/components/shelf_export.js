// The panel that exports pictures of a run: which ones, how many and how large, then the file. Knows no routes.

import { choice, make, press } from "./element.js";
import { bytesText, many } from "./shelf_find.js";

const WHICH = [["All", "all"], ["Picked", "picked"], ["Rated", "stars"]];
const NONE = {
  all: "This run has no picture yet.",
  picked: "No picture is picked: press p on one in Compare.",
  stars: "No picture has so many stars.",
};
const atLeast = (stars) => `${"★".repeat(stars)}${stars < 5 ? " or more" : ""}`;

// `count(run)` answers {all, picked, stars: [5 times]} with {pictures, bytes} each; `fetchZip(run, query)` a Blob.
export class ExportPanel {
  constructor({ count, fetchZip, commandOf }) {
    Object.assign(this, { count, fetchZip, commandOf });
    this.title = make("h2");
    this.which = choice("Which pictures", WHICH, (value) => this.pick(value));
    const stars = [1, 2, 3, 4, 5].map((value) => make("option", { value, text: atLeast(value) }));
    this.stars = make("select", { ariaLabel: "Stars at least", hidden: true, onchange: () => this.draw() }, ...stars);
    this.told = make("p", { ariaLive: "polite" });
    this.command = make("code");
    this.problem = make("p", { className: "sl-problem", role: "alert" });
    this.download = make("button", { type: "button", className: "sl-main", text: "Download" });
    this.download.onclick = () => this.save();
    const close = make("button", { type: "button", text: "Close", onclick: () => this.dialog.close() });
    this.dialog = make("dialog", { className: "sl-export", ariaLabel: "Export pictures" }, this.title,
      make("div", { className: "sl-line" }, this.which, this.stars), this.told, this.command, this.problem,
      make("div", { className: "sl-line" }, this.download, close));
    this.dialog.addEventListener("keydown", (event) => event.stopPropagation()); // no key reaches the list behind
    this.dialog.addEventListener("close", () => this.asked?.abort());
  }

  async open(row) {
    Object.assign(this, { row, counts: null });
    this.title.textContent = `Export pictures of ${row.name}`;
    this.problem.textContent = "";
    this.pick("all");
    this.dialog.showModal();
    try {
      this.counts = await this.count(row.run);
      this.pick(this.counts.picked.pictures ? "picked" : "all");
    } catch (error) {
      this.problem.textContent = String(error.message ?? error);
    }
  }

  pick(value) {
    this.wanted = value;
    press(this.which, value);
    this.stars.hidden = value !== "stars";
    this.draw();
  }

  draw() {
    const chosen = this.counts?.[this.wanted];
    const counts = this.wanted === "stars" ? chosen?.[this.stars.value - 1] : chosen;
    this.download.disabled = !counts?.pictures || Boolean(this.asked);
    this.download.textContent = this.asked ? "Packing…" : "Download";
    this.told.textContent = this.words(counts);
    this.command.textContent = this.commandOf(this.row, this.query());
  }

  words(counts) {
    if (!counts) return "Counting…";
    if (!counts.pictures) return NONE[this.wanted];
    return `${many(counts.pictures, "picture")} with sidecars and captions, about ${bytesText(counts.bytes)}`;
  }

  query() {
    if (this.wanted === "all") return {};
    return this.wanted === "picked" ? { picked: 1 } : { stars: this.stars.value };
  }

  async save() {
    this.asked = new AbortController();
    this.problem.textContent = "";
    this.draw();
    try {
      const blob = await this.fetchZip(this.row.run, this.query(), this.asked.signal);
      this.hand(blob, `${this.row.run}.zip`);
      this.told.textContent = `${this.row.run}.zip is handed to the browser.`;
    } catch (error) {
      if (error.name !== "AbortError") this.problem.textContent = String(error.message ?? error);
    } finally {
      this.asked = null;
      this.download.disabled = false;
      this.download.textContent = "Download";
    }
  }

  hand(blob, name) {
    const href = URL.createObjectURL(blob);
    const link = make("a", { href, download: name, hidden: true });
    this.dialog.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
  }
}
