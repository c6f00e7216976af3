// What can be done with a picture that is compared: hand its settings on, copy a command, look at its files.
// Knows nothing about panes; the other tabs are reached by the page's bus.

import "../components/advice.js";
import { make } from "../components/element.js";

export class Use {
  // `folder` is where the runs lie, for the command.
  constructor(folder) {
    this.folder = folder;
    this.title = make("h3", { text: "Use A" });
    const button = (text, title, onclick, className = "") =>
      make("button", { type: "button", text, title, className, onclick });
    const hand = (target) => () => window.Sidelight.hand(target, { run: this.run, key: this.cell.key });
    this.buttons = [
      button("Use settings", "Create a picture with these settings", hand("create"), "sl-main"),
      button("Sweep from it", "Vary these settings", hand("sweep")),
      button("Repair face", "Change skin, eyes or mouth of this one, and nothing else", hand("face")),
      button("As reference", "Keep this face as a reference", hand("reference")),
      button("As start image", "Paint over this picture", hand("start")),
      button("Copy command", "The command that makes this picture again", () => this.copy()),
      button("Sidecar", "What is known of how it was made", () => this.showSidecar()),
    ];
    this.advice = button("Advice", "What could be better in this picture, and how",
      () => window.SidelightAdvice.open({ run: this.run, key: this.cell.key }));
    this.png = make("a", { text: "Open PNG", target: "_blank", rel: "noopener", title: "The lossless file, alone" });
    this.dialog = make("dialog", { className: "sl-text", ariaLabel: "Text" });
    this.dialog.addEventListener("keydown", (event) => event.stopPropagation());
    this.root = make("section", { className: "sl-use", ariaLabel: "Use the picture" },
      make("header", {}, this.title, this.advice),
      make("div", { className: "sl-buttons" }, ...this.buttons, this.png), this.dialog);
  }

  show(run, letter, cell) {
    Object.assign(this, { run, cell });
    const isThere = cell?.state === "done";
    this.root.hidden = !cell;
    this.title.textContent = letter ? `Use ${letter}` : "Use this picture";
    for (const button of this.buttons) button.disabled = !isThere;
    this.png.hidden = !isThere;
    this.advice.disabled = !isThere;
    if (isThere) this.png.href = cell.picture;
  }

  get command() {
    return `sidelight picture again ${quoted(`${this.folder}/${this.run}/pictures/${this.cell.key}.png`)}`;
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.command);
      window.Sidelight.say(`Copied: ${this.command}`);
    } catch {
      this.showText("Command", this.command); // a browser gives its clipboard to this machine's pages only
    }
  }

  async showSidecar() {
    try {
      const path = `/pictures/${encodeURIComponent(this.run)}/${this.cell.key}.json`;
      this.showText("Sidecar", JSON.stringify(await window.Sidelight.json(path), null, 2));
    } catch (error) {
      window.Sidelight.say(error.message);
    }
  }

  showText(title, text) {
    const close = make("button", { type: "button", text: "Close", onclick: () => this.dialog.close() });
    this.dialog.replaceChildren(make("h2", { text: title }), make("pre", { text, tabIndex: 0 }), close);
    this.dialog.showModal();
  }
}

function quoted(path) {
  return /^[\w./:@%+=,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
