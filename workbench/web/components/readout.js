// The words as they will be sent: what the encoders read, what falls off, what to say otherwise. Knows no routes.
// A module: `mount(element, {onMend})` gives {show}. What is shown comes in pieces, so nothing is counted here; text
// enters as text alone.

import { make } from "./element.js";

const FEW = 2;

class Readout {
  constructor(element, { onMend }) {
    this.onMend = onMend;
    this.isOpen = false;
    this.counts = make("span", { className: "sl-counts" });
    this.body = make("div", { className: "sl-sent", tabIndex: 0, role: "group", ariaLabel: "The words" });
    this.notes = make("div", { className: "sl-notes" });
    this.root = make("section", { className: "sidelight sl-readout", ariaLabel: "As it will be sent" },
      make("div", { className: "sl-readout-head" }, make("span", { text: "As it will be sent" }), this.counts),
      this.body, this.notes);
    element.replaceChildren(this.root);
    this.show(null);
  }

  show(readout) {
    this.readout = readout;
    const { prompt, negative, remarks = [], warnings = [] } = readout ?? {};
    this.counts.textContent = prompt?.pieces.length && prompt.counts.length ? countsOf(prompt) : "";
    const isSaid = prompt?.pieces.length > 0;
    const hint = "Nothing is said yet: choose a light above, or write a prompt.";
    const parts = [isSaid ? textOf(prompt) : make("p", { className: "sl-quiet", text: hint })];
    if (negative?.pieces.length) {
      parts.push(make("p", { className: "sl-without" }, make("span", { text: "without", title: countsOf(negative) }),
        ...textOf(negative).childNodes));
    }
    this.body.replaceChildren(...parts);
    const said = [...dropped(prompt), ...warnings.filter((text) => !text.includes("falls off"))];
    const notes = said.map((text) => make("p", { className: "sl-remark", text }));
    this.notes.replaceChildren(...notes, ...(remarks.length ? [this.remarksOf(remarks)] : []));
  }

  remarksOf(remarks) {
    const shown = this.isOpen ? remarks : remarks.slice(0, FEW);
    const list = make("ol", { className: "sl-remarks", ariaLabel: "What to say otherwise" }, ...shown.map(remarkOf));
    const tools = make("div", { className: "sl-remark-tools" });
    if (this.readout.mended) {
      tools.append(make("button", { type: "button", text: "Say it so", title: this.readout.mended.prompt,
        onclick: () => this.onMend() }));
    }
    if (remarks.length > FEW) {
      const turn = () => { this.isOpen = !this.isOpen; this.show(this.readout); };
      const text = this.isOpen ? "Fewer" : `${remarks.length - FEW} more`;
      tools.append(make("button", { type: "button", text, ariaExpanded: String(this.isOpen), onclick: turn }));
    }
    return make("div", {}, list, tools);
  }
}

// Encoders that count alike are told together.
function countsOf({ counts }) {
  const told = new Map();
  for (const { encoder, used, most, chunks } of counts) {
    const text = chunks > 1 ? `${used} in ${chunks} chunks of ${most}` : `${used} of ${most}`;
    told.set(text, [...(told.get(text) ?? []), encoder]);
  }
  return `${[...told].map(([text, encoders]) => `${encoders.join(", ")} ${text}`).join(" · ")} tokens`;
}

function dropped(prompt) {
  const last = prompt?.counts.at(-1);
  if (!last?.dropped) return [];
  return [`${last.encoder} reads ${last.most} tokens; what is struck out falls off. Say what matters first, or less.`];
}

function textOf({ pieces }) {
  return make("p", { className: "sl-said-text" }, ...pieces.map((piece) => {
    if (!piece.is_read) return make("s", { text: piece.text, title: "falls off: not read" });
    if (piece.finding >= 0) return make("mark", { text: piece.text });
    return make("span", { text: piece.text });
  }));
}

function remarkOf({ text, why, offered }) {
  const parts = [make("b", { text }), make("span", { text: ` ${why}.` })];
  if (offered.length) parts.push(make("span", { className: "sl-offered", text: ` Say: ${offered.join(", ")}` }));
  return make("li", {}, ...parts);
}

export function mount(element, options) { return new Readout(element, options); }
