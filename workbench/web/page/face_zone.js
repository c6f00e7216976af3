// A place where a photograph is dropped or chosen, with a small picture of what lies there. Knows nothing about faces.

import { make } from "../components/element.js";

export class PhotoZone {
  constructor({ label, words, onFile, onClear = null, isSmall = false }) {
    Object.assign(this, { words, onFile });
    this.file = make("input", { type: "file", accept: "image/png,image/jpeg,image/webp,image/tiff", hidden: true });
    this.image = make("img", { alt: "", hidden: true, draggable: false });
    this.told = make("span", { className: "sl-start-told", text: words });
    this.choose = make("button", { type: "button", text: "Choose", onclick: () => this.file.click() });
    this.clear = make("button", { type: "button", text: "Clear", hidden: true, onclick: () => onClear() });
    this.canClear = Boolean(onClear);
    this.root = make("div", { className: `sl-zone${isSmall ? " sl-zone-small" : ""}`, role: "group", ariaLabel: label },
      this.image, this.told, this.choose, this.clear, this.file);
    this.file.onchange = () => { this.take(this.file.files[0]); this.file.value = ""; };
    this.root.ondragover = (event) => { event.preventDefault(); this.root.classList.add("sl-over"); };
    this.root.ondragleave = () => this.root.classList.remove("sl-over");
    this.root.ondrop = (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.root.classList.remove("sl-over");
      this.take(event.dataTransfer.files[0]);
    };
  }

  take(file) { if (file) this.onFile(file); }

  show({ url = "", name = "", told = "", fault = "" } = {}) {
    this.image.hidden = !url;
    if (url && this.image.getAttribute("src") !== url) this.image.src = url;
    this.clear.hidden = !url || !this.canClear;
    this.choose.textContent = url ? "Another" : "Choose";
    const lines = [name && make("b", { text: name }), make("span", { text: fault || told || this.words })];
    this.told.replaceChildren(...lines.filter(Boolean));
    this.root.classList.toggle("sl-fault", Boolean(fault));
  }
}
