// One note: what to start from, window and plateau, how far to trust it, on what it rests, what it was before.
// Knows nothing about lists or routes; `acts` are {save(name, text), restore(version), open(run, keys)}.

import { make } from "./element.js";
import { FIELDS } from "./note_conflicts.js";
import { NumberField, PairsField, TextField, WindowField } from "./note_fields.js";
import { scaleOf } from "./note_scale.js";

const LEAST_GUIDANCE = 10, LEAST_STEPS = 50; // how far the scales go at least
const COMPARED = 4; // pictures that Compare shows

export class NoteView {
  constructor(acts) {
    this.acts = acts;
    const save = (name, text) => acts.save(name, text);
    this.fields = [
      new PairsField({ name: "pairs", title: "Start from", hint: "the first line is what Create takes", save }),
      new WindowField({ name: "window", title: "Guidance window", hint: "mud below, plastic above", save }),
      new NumberField({ name: "plateau", title: "Step plateau", hint: "more steps change nothing", save }),
      new TextField({ name: "lights", title: "Lights that work", hint: "one template a line", save,
        placeholder: "window" }),
      new TextField({ name: "forbid", title: "Forbid", hint: "one thing a line; FLUX: this => that", save,
        placeholder: "plastic skin" }),
      new TextField({ name: "remarks", title: "Remarks", save, rows: 3, placeholder: "in your own words" }),
    ];
    this.trust = make("div", { className: "sl-note-trust" });
    this.evidence = make("section", { className: "sl-note-evidence", ariaLabel: "Evidence" });
    this.history = make("section", { className: "sl-note-history", ariaLabel: "History" });
    this.settings = make("div", { className: "sl-note-settings" }, ...this.fields.map(({ root }) => root));
    this.root = make("div", { className: "sl-note-columns" }, this.settings,
      make("div", { className: "sl-note-grounds" }, this.trust, this.evidence, this.history));
  }

  get isDirty() { return this.fields.some((each) => each.isDirty); }

  show(answer) {
    this.settings.hidden = Boolean(answer.fault);
    for (const field of this.fields) field.tell(answer.texts[field.name] ?? "");
    if (answer.note) this.drawScales(answer.note);
    this.drawn(this.trust, [answer.trust, answer.warnings, answer.fault], () => trustOf(answer));
    this.drawn(this.evidence, [answer.evidence, answer.fault], () => (answer.fault ? [] : this.evidenceOf(answer)));
    this.drawn(this.history, answer.history, () => this.historyOf(answer.history));
  }

  // Anew only where it says something else, so that the focus stays.
  drawn(element, told, parts) {
    const now = JSON.stringify(told);
    if (element.told === now) return;
    element.told = now;
    element.replaceChildren(...parts());
  }

  drawScales({ window, plateau, pairs }) {
    const [, inWindow, atPlateau] = this.fields;
    const low = window?.low ?? null, high = window?.high ?? null;
    const of = (name) => pairs.map((pair) => pair[name]).filter((value) => value !== null);
    inWindow.scale.replaceChildren(scaleOf({ label: "The guidance window, and the guidance of the settings above", low,
      high, below: "mud", above: "plastic", marks: of("guidance"), least: LEAST_GUIDANCE }));
    atPlateau.scale.replaceChildren(scaleOf({ label: "The step plateau, and the steps of the settings above",
      low: plateau && 0, high: plateau, below: "", above: "more change nothing", marks: of("steps"),
      least: LEAST_STEPS }));
  }

  evidenceOf({ evidence }) {
    const none = make("p", { className: "sl-quiet", text: "No run stands behind this note: it was set by hand." });
    const cards = evidence.map((each) => this.cardOf(each));
    return [make("h3", { text: "Evidence" }), ...(cards.length ? cards : [none])];
  }

  cardOf({ run, sentence, circumstances, held, is_here: isHere, pictures }) {
    const keys = pictures.filter((each) => each.is_here).map(({ key }) => key).slice(0, COMPARED);
    const compare = make("button", { type: "button", text: "Compare", disabled: !keys.length,
      title: isHere ? `Open these pictures of ${run} beside each other` : `The run ${run} is not here any more`,
      onclick: () => this.acts.open(run, keys) });
    const lines = [circumstances, held && `held: ${held}`].filter(Boolean)
      .map((text) => make("p", { className: "sl-quiet", text }));
    const seen = pictures.length ? [make("div", { className: "sl-note-thumbs" },
      ...pictures.map((each) => this.thumbOf(run, each)))] : [];
    return make("article", {}, make("header", {}, make("p", { text: sentence }), compare), ...seen, ...lines);
  }

  thumbOf(run, { key, role, words, thumb, is_here: isHere }) {
    const image = thumb ? make("img", { src: thumb, alt: "", loading: "lazy", draggable: false })
      : make("span", { className: "sl-words", text: "picture is gone" });
    image.onerror = () => image.replaceWith(make("span", { className: "sl-words", text: "picture is gone" }));
    const title = isHere ? `${words}: open in Compare` : `${words}; the run ${run} is not here any more`;
    return make("button", { type: "button", className: "sl-note-thumb", title, ariaLabel: title, disabled: !isHere,
      onclick: () => this.acts.open(run, [key]) }, image, make("span", { className: "sl-pill", text: role }));
  }

  historyOf(history) {
    const none = make("p", { className: "sl-quiet", text: "This is its first version." });
    const rows = history.map((each) => this.versionOf(each));
    return [make("h3", { text: "History" }), rows.length ? make("ol", {}, ...rows) : none];
  }

  versionOf({ version, until, changes, fault }) {
    const words = changes.map((change) => make("li", {}, ...changeOf(change)));
    if (fault) words.push(make("li", { className: "sl-problem", text: fault }));
    if (!words.length) words.push(make("li", { className: "sl-quiet", text: "nothing but its text" }));
    const back = make("button", { type: "button", text: "Bring back", disabled: Boolean(fault),
      title: `Version ${version} stands again; what stands now goes into this list`,
      ariaLabel: `Bring version ${version} back`, onclick: () => this.acts.restore(version) });
    return make("li", {}, make("header", {}, make("b", { text: `Version ${version}` }),
      make("span", { className: "sl-quiet", text: `until ${dateOf(until)}, then changed:` }), back),
      make("ul", {}, ...words));
  }
}

function trustOf({ trust, warnings, fault }) {
  const lines = [...(fault ? [fault] : []), ...warnings, ...trust];
  if (!lines.length) return [make("p", { className: "sl-quiet", text: "Nothing speaks against it on this machine." })];
  return [make("h3", { text: fault ? "This note cannot be read" : "Before you trust it" }),
    make("ul", {}, ...lines.map((text) => make("li", { text })))];
}

function changeOf({ field, ours, theirs }) {
  if (field === "evidence" || field === "remarks") {
    const what = ours && theirs ? "changed" : theirs ? "came" : "went";
    return [make("b", { text: `${FIELDS[field]} ` }), make("span", { text: what, title: theirs || ours })];
  }
  const text = `${ours || "none"} → ${theirs || "none"}`;
  return [make("b", { text: `${FIELDS[field]} ` }), make("span", { text })];
}

export function dateOf(text) {
  const at = new Date(text);
  return Number.isNaN(at.valueOf()) ? text : at.toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "short" });
}
