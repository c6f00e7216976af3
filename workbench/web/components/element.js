// Makes elements; the only way in which the components write to a page. Knows nothing about what they show.
// Text enters by textContent alone, so that a prompt with markup in it stays a prompt.

export function make(tag, { text, ...rest } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(rest)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

// Buttons of which one is pressed; `pick` gets the value of the one that was.
export function choice(name, values, pick) {
  const buttons = values.map(([text, value, title = ""]) =>
    make("button", { type: "button", text, title, value, onclick: () => pick(value) }));
  return make("span", { className: "sl-choice", role: "group", ariaLabel: name }, ...buttons);
}

export function press(group, value) {
  for (const button of group.children) button.ariaPressed = String(button.value === String(value));
}

// A sentence in which what stands between backticks is to be typed.
export function typed(text) {
  return text.split("`").map((part, at) => (at % 2 ? make("code", { text: part }) : part));
}
