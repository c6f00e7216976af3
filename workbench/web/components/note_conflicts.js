// Asks which of two values holds, field by field, before a note is kept. Nothing is chosen beforehand, nothing is lost
// unasked. Knows nothing about notes' files or routes.

import { make } from "./element.js";

export const FIELDS = { weights: "Weights", pairs: "Start from", window: "Guidance window", plateau: "Step plateau",
  lights: "Lights", forbid: "Forbid", remarks: "Remarks", evidence: "Evidence" };

// `sides` are what the two are called; `conflicts` and `added` are [{field, ours, theirs}], `more` are elements above
// them. Answers what `take` is to be, or null where it was left.
export function askWhich({ title, sides, conflicts, added = [], more = [], yes = "Keep" }) {
  return new Promise((answer) => {
    const keep = make("button", { type: "submit", text: yes, className: "sl-main", disabled: conflicts.length > 0 });
    const leave = make("button", { type: "button", text: "Leave it as it is", onclick: () => dialog.close() });
    const form = make("form", { method: "dialog" }, make("h2", { text: title }), ...more,
      ...(conflicts.length ? [table(conflicts, sides)] : []), ...(added.length ? [gained(added)] : []),
      make("div", { className: "sl-note-acts" }, keep, leave));
    const dialog = make("dialog", { className: "sl-note-ask", ariaLabel: title }, form);
    const root = make("div", { className: "sidelight sl-note-asking" }, dialog);
    const chosen = () => new Map(conflicts.map(({ field }) => [field, form.elements[field]?.value]));
    form.onchange = () => { keep.disabled = ![...chosen().values()].every(Boolean); };
    form.onsubmit = () => { dialog.returnValue = "kept"; };
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    dialog.onclose = () => {
      root.remove();
      answer(dialog.returnValue === "kept" ? takeOf(chosen(), conflicts) : null);
    };
    keep.value = "kept";
    document.body.append(root);
    dialog.showModal();
  });
}

function takeOf(chosen, conflicts) {
  if (!conflicts.length) return ["theirs"];
  const theirs = [...chosen].filter(([, side]) => side === "theirs").map(([field]) => field);
  return theirs.length ? theirs : ["ours"];
}

function table(conflicts, sides) {
  const head = make("tr", {}, make("td"), ...sides.map((text) => make("th", { scope: "col", text })));
  return make("table", { className: "sl-note-table" }, make("thead", {}, head),
    make("tbody", {}, ...conflicts.map((each) => rowOf(each, sides))));
}

function rowOf({ field, ours, theirs }, sides) {
  const cell = (text, value, side) => make("td", {}, make("label", {},
    make("input", { type: "radio", name: field, value, ariaLabel: `${FIELDS[field]}: ${text} (${side})` }),
    make("span", { text })));
  return make("tr", {}, make("th", { scope: "row", text: FIELDS[field] }), cell(ours, "ours", sides[0]),
    cell(theirs, "theirs", sides[1]));
}

// What is kept of both, or only one side says.
function gained(added) {
  const lines = added.filter(({ theirs }) => theirs)
    .map(({ field, theirs }) => [make("dt", { text: FIELDS[field] }), make("dd", { text: theirs })]);
  return make("section", {}, make("h3", { text: "What comes to it" }), make("dl", {}, ...lines.flat()));
}
