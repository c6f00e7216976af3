// What was read of a dropped picture, and what of it found no place. Knows nothing about formats.
// Its value is {title, lines: [text], unmapped: [[name, value, why]], fault}, or null.

import { make } from "../components/element.js";

export function mount(element, gradio) {
  const root = make("div", { className: "sidelight sl-read" });
  const close = make("button", { type: "button", text: "Close", onclick: () => show(null) });
  function show(value) {
    root.hidden = !value;
    if (!value) return root.replaceChildren();
    const { title = "", lines = [], unmapped = [], fault = "" } = value;
    const head = make("div", { className: "sl-read-head" }, make("b", { text: fault || title }), close);
    head.setAttribute("role", fault ? "alert" : "status");
    const parts = [head, ...lines.map((text) => make("p", { text }))];
    if (unmapped.length) {
      const rows = unmapped.flatMap(([name, said, why]) => {
        const value = make("span", { text: said ? `${said}: ` : "" });
        return [make("dt", { text: name }), make("dd", {}, value, make("span", { className: "sl-why", text: why }))];
      });
      const many = unmapped.length === 1 ? "1 value" : `${unmapped.length} values`;
      parts.push(make("details", {}, make("summary", { text: `${many} of it could not be taken over` }),
        make("dl", {}, ...rows)));
    }
    return root.replaceChildren(...parts);
  }
  element.replaceChildren(root);
  gradio.watch(show);
  show(gradio.value);
}
