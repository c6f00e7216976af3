// One line of text beside a field: a state, an estimate, or why something cannot be. Knows nothing about forms.
// Its value is {text, is_fault, label, tab}: with a label there is a button that goes to that tab.

import { make } from "../components/element.js";
import page from "./bus.js";

export function mount(element, gradio) {
  const line = make("div", { className: "sidelight sl-one-line" });
  const show = (value) => {
    const { text = "", is_fault: isFault = false, label = "", tab = "" } = value ?? {};
    line.hidden = !text;
    line.setAttribute("role", isFault ? "alert" : "note");
    line.classList.toggle("sl-fault", isFault);
    line.replaceChildren(make("span", { text }));
    if (label) line.append(make("button", { type: "button", text: label, onclick: () => page().go(tab) }));
  };
  element.replaceChildren(line);
  gradio.watch(show);
  show(gradio.value);
}
