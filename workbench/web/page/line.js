// One line of text beside a field: a state, an estimate, or why something cannot be. Knows nothing about forms.
// Its value is {text, is_fault, label, tab, note, more}: with a label there is a button that goes to that tab, or
// to the note of a checkpoint; `more` are lines below it.

import { make } from "../components/element.js";
import page from "./bus.js";

export function mount(element, gradio) {
  const line = make("div", { className: "sidelight sl-one-line" });
  const show = (value) => {
    const { text = "", is_fault: isFault = false, label = "", tab = "", note = "", more = [] } = value ?? {};
    line.hidden = !text;
    line.setAttribute("role", isFault ? "alert" : "note");
    line.classList.toggle("sl-fault", isFault);
    line.replaceChildren(make("span", { text }));
    const onclick = () => (note ? page().showNote(note) : page().go(tab));
    if (label) line.append(make("button", { type: "button", text: label, onclick }));
    for (const each of more) line.append(make("small", { text: each }));
    line.classList.toggle("sl-has-more", more.length > 0);
  };
  element.replaceChildren(line);
  gradio.watch(show);
  show(gradio.value);
}
