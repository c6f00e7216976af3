// The form of the Face tab: which face, what of it changes, and how. Knows nothing about the picture's pixels or runs.
// Values are text as a person typed them; `on.change(name)` tells that one is another, `on.NAME` that a button was
// pressed.

import { choice, make, press } from "../components/element.js";
import { CUSTOM, TASKS, tailOf, withTail } from "./face_tasks.js";
import { PhotoZone } from "./face_zone.js";

const CONSENT = "Textures may be taken freely; take no person's likeness without their consent.";
const BY = [["chosen for this checkpoint", ""], ["bands: its skin texture into the start image", "bands"],
  ["IP-Adapter (SDXL)", "ip-adapter"], ["Redux (FLUX.1)", "redux"], ["Kontext (FLUX.1)", "kontext"],
  ["images (FLUX.2)", "images"]];
const TASK_BUTTONS = [...Object.entries(TASKS).map(([name, { text }]) => [text, name]), ["Custom", CUSTOM]];
export const TYPED = ["mask", "strength", "checkpoint", "prompt", "negative", "steps", "guidance", "seed", "context",
  "scheduler", "loras", "reference_weight", "reference_by"];

export class FaceForm {
  constructor(on) {
    Object.assign(this, { on, fields: {} });
    this.faults = new Map();
    this.foot = this.buildFoot();
    this.root = make("form", { className: "sl-face-form", ariaLabel: "Repair" }, this.buildPortrait(), this.buildWhat(),
      this.buildHow(), this.buildReference(), this.buildAdvanced(), this.foot);
    this.root.onsubmit = (event) => event.preventDefault();
  }

  // ---- once

  text(name, label, more = {}) {
    const { tag = "input", title = "", ...rest } = more;
    const field = make(tag, { name, ...(tag === "input" ? { type: "text" } : {}), autocomplete: "off", ...rest });
    field.spellcheck = false;
    field.oninput = () => this.on.change(name);
    this.fields[name] = field;
    const fault = make("span", { className: "sl-field-fault", role: "alert" });
    this.faults.set(name, fault);
    return make("label", { className: "sl-labelled", title }, make("span", { text: label }), field, fault);
  }

  list(name, label, values, title = "") {
    const field = make("select", { name, title });
    field.onchange = () => this.on.change(name);
    this.fields[name] = field;
    this.choices(name, values);
    return make("label", { className: "sl-labelled" }, make("span", { text: label }), field);
  }

  button(text, title, name, className = "") {
    return make("button", { type: "button", text, title, className, onclick: () => this.on[name]() });
  }

  buildPortrait() {
    this.portrait = new PhotoZone({ label: "Portrait", words: "Drop a portrait here, or choose one. Repair face in "
      + "Create and Compare brings a picture here too.", onFile: (file) => this.on.file(file) });
    this.faces = make("span", { className: "sl-choice", role: "group", ariaLabel: "Face" });
    this.noFace = make("div", { className: "sl-note", hidden: true, role: "status" });
    this.advice = make("div", { className: "sl-note", hidden: true, role: "status" });
    return section("Portrait", this.portrait.root, this.faces, this.noFace, this.advice);
  }

  buildWhat() {
    this.tasks = choice("What changes", TASK_BUTTONS, (task) => this.on.task(task));
    this.painted = make("div", { className: "sl-note", hidden: true, role: "status" });
    const mask = this.text("mask", "Mask", { placeholder: "face1.skin - face1.eyes; feather 0.06",
      title: "Regions of faces: oval skin cheeks left-cheek right-cheek forehead nose chin eyes brows mouth neck ears; "
        + "+ - * and parentheses; then grow, shrink, feather in shares of the eye distance, or in px" });
    return section("What changes", this.tasks, mask, this.painted, make("div", { className: "sl-fields" },
      this.tail("grow", "Grow", "0 of the eye distance"), this.tail("feather", "Feather", "0.06 of the eye distance")));
  }

  // Grow and feather are written in the mask itself; their fields say it anew.
  tail(name, label, title) {
    const field = make("input", { type: "text", ariaLabel: label, title, placeholder: "0" });
    field.oninput = () => {
      this.fields.mask.value = withTail(this.fields.mask.value, name, field.value);
      this.on.change("mask");
    };
    this[name] = field;
    return make("label", { className: "sl-labelled sl-short" }, make("span", { text: label }), field);
  }

  buildHow() {
    const strength = this.text("strength", "Strength", { placeholder: "0.35, 0.4, 0.45, 0.5",
      title: "How far from the picture it may go; several values are made at once" });
    const seed = make("div", { className: "sl-seed" }, this.text("seed", "Seed", { placeholder: "another each time" }),
      this.button("New", "Another seed", "newSeed"));
    const prompt = this.text("prompt", "Prompt", { tag: "textarea", rows: 6 });
    this.promptBy = make("span", { className: "sl-quiet" });
    this.reset = this.button("Reset", "The prompt as it is built from the picture's own recipe", "resetPrompt");
    this.reset.hidden = true;
    return section("How", strength, this.list("checkpoint", "Checkpoint", []), this.state = quiet(),
      make("div", { className: "sl-fields sl-with-seed" }, this.text("steps", "Steps"),
        this.text("guidance", "Guidance"),
        this.text("context", "Context", { title: "How much around the mask the model sees, as a share of the mask's "
          + "longer side on every side" }), seed), prompt,
      make("div", { className: "sl-beside-text" }, this.promptBy, this.reset));
  }

  buildReference() {
    this.photo = new PhotoZone({ label: "Reference photograph", isSmall: true,
      words: "A photograph with the skin you want: its texture pulls, its face does not.",
      onFile: (file) => this.on.reference(file), onClear: () => this.on.reference(null) });
    this.weightTold = make("div", { className: "sl-note", hidden: true, role: "status" });
    this.photoFields = make("div", { className: "sl-fields sl-two", hidden: true },
      this.text("reference_weight", "Weight", { placeholder: "0.5" }), this.list("reference_by", "How it acts", BY));
    this.reference = folded("Skin from a photograph", this.photo.root, this.photoFields, this.weightTold,
      make("p", { className: "sl-quiet", text: CONSENT }));
    return this.reference;
  }

  buildAdvanced() {
    return folded("Advanced", this.text("negative", "Negative"), make("div", { className: "sl-fields sl-two" },
      this.list("scheduler", "Scheduler", [["as the checkpoint likes it", ""]]),
      this.text("loras", "LoRAs", { placeholder: "none; or film:0.8+skin:0.5" })));
  }

  buildFoot() {
    this.refusal = make("div", { className: "sl-refusal", role: "alert", hidden: true });
    this.repair = this.button("Repair", "Queue the repair (Ctrl Enter)", "repair", "sl-main");
    this.estimate = quiet();
    return make("div", { className: "sl-face-foot" }, this.refusal,
      make("div", { className: "sl-foot-row" }, this.repair, this.estimate));
  }

  // ---- values

  get values() {
    return Object.fromEntries(TYPED.map((name) => [name, this.fields[name].value]));
  }

  set(values) {
    for (const name of TYPED) {
      if (typeof values[name] !== "string") continue;
      const field = this.fields[name], isList = field.tagName === "SELECT";
      if (isList && ![...field.options].some(({ value }) => value === values[name])) {
        field.append(make("option", { text: values[name], value: values[name] }));
      }
      field.value = values[name];
    }
    this.showTail();
  }

  showTail() {
    for (const name of ["grow", "feather"]) {
      if (document.activeElement !== this[name]) this[name].value = tailOf(this.fields.mask.value, name);
    }
  }

  choices(name, values) {
    const field = this.fields[name], { value } = field;
    const isSame = values.map(String).join("|") === [...field.options].map((each) => [each.text, each.value]).join("|");
    if (isSame) return;
    const all = values.some(([, each]) => each === value) || !value ? values : [...values, [value, value]];
    field.replaceChildren(...all.map(([text, each]) => make("option", { text, value: each })));
    if (value) field.value = value;
  }

  // ---- what is told

  showFaces(numbers, chosen) {
    const all = numbers.length > 1 ? [["All faces", "all"]] : [];
    const buttons = choice("Face", [...numbers.map((number) => [`Face ${number}`, String(number)]), ...all],
      (face) => this.on.face(face));
    this.faces.replaceChildren(...buttons.children);
    this.faces.hidden = !numbers.length;
    press(this.faces, chosen);
  }

  showTask(task) { press(this.tasks, task); }

  // So that it is seen while this part is folded, too.
  nameReference(name) {
    this.reference.firstChild.textContent = name ? `Skin from a photograph: ${name}` : "Skin from a photograph";
  }

  say(element, text, label = "", action = null) {
    element.hidden = !text;
    element.replaceChildren(make("span", { text }));
    if (label) element.append(make("button", { type: "button", text: label, onclick: action }));
  }

  // What is wrong, beside its field where there is one, and above Repair. A text that begins with a field is about it.
  refuse(said, about = fieldOf(said)) {
    const text = said.replace(/^start\./, "").replace(": input should be", " should be");
    for (const [each, fault] of this.faults) {
      const field = this.fields[each], isWrong = Boolean(text) && each === about;
      fault.textContent = isWrong ? text : "";
      if (!isWrong) field.removeAttribute("aria-invalid");
      else {
        field.setAttribute("aria-invalid", "true");
        field.closest("details")?.setAttribute("open", "");
      }
    }
    this.refusal.hidden = !text;
    this.refusal.textContent = text;
  }
}

const fieldOf = (text) => text.replace(/^start\./, "").split(/[\s:,]/)[0];
const quiet = () => make("span", { className: "sl-quiet" });
const section = (title, ...parts) =>
  make("section", { className: "sl-face-part" }, make("h3", { text: title }), ...parts);
const folded = (title, ...parts) =>
  make("details", { className: "sl-face-part" }, make("summary", { text: title }), ...parts);
