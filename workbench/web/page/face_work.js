// What is to be done to the portrait: face, task, mask, values, reference, and asking for it. Knows nothing about how
// the mask is painted or the form drawn.

import page from "./bus.js";
import { ALL, CUSTOM, TASKS, faceFault, faceOf, maskOf, onFace } from "./face_tasks.js";
import { source } from "./face_source.js";

const OF_ALL = "All faces are one pass: what is worked on holds all of them, so each gets fewer pixels. Finer: one face "
  + "after the other, accepting each.";
const PAINT_FIRST = "paint what may change first: no face was found, so there are no regions";
const SOON_MS = 300;
const SEED_BITS = 32;
const FIRST = { task: "skin", face: "1", values: { context: "" }, isOwnPrompt: false, reference: null };

export class FaceWork {
  constructor(tab) {
    Object.assign(this, { tab, ...FIRST, measured: new Map(), isPainted: false, taskMade: "skin" });
    this.newSeed();
    tab.form.set({ mask: maskOf("skin", "1"), strength: TASKS.skin.strength, reference_weight: "0.5" });
    tab.form.showTask(this.task);
  }

  get form() { return this.tab.form; }
  get picture() { return this.tab.subject.picture; }

  get kept() {
    const { task, face, isOwnPrompt, reference, taskMade } = this;
    return { values: this.form.values, task, face, isOwnPrompt, reference, taskMade };
  }

  async restore({ values, task, face, isOwnPrompt, reference, taskMade }) {
    if (values) this.form.set(values);
    if (task in TASKS || task === CUSTOM) this.task = task;
    if (typeof face === "string") this.face = face;
    Object.assign(this, { isOwnPrompt: isOwnPrompt === true, taskMade: taskMade ?? this.task });
    this.form.showTask(this.task);
    if (reference?.url) {
      const isThere = await fetch(reference.url, { method: "HEAD" }).then(({ ok }) => ok, () => false);
      if (isThere) this.showReference(reference);
    }
    this.askSoon();
  }

  // A picture was opened: the face that was chosen stays, if it has one of that number.
  async opened({ faces }) {
    const numbers = faces.map(({ number }) => number);
    const isKnown = numbers.map(String).includes(this.face) || (this.face === ALL && numbers.length > 1);
    if (!isKnown && numbers.length) this.setMask(onFace(this.form.fields.mask.value, this.face = String(numbers[0])));
    this.form.showFaces(numbers, this.face);
    this.askSoon();
    this.measure();
    if (numbers.includes(Number(this.face))) this.tab.editor.pickFace(Number(this.face));
    this.tab.editor.setTool(numbers.length ? "regions" : "brush");
    await this.applyMask();
  }

  // The values of a repair, with the mask it was said by; "" for a painted one.
  take({ start, steps, guidance, seed, prompt, negative }, mask) {
    const numbers = { strength: start.strength, steps, guidance, seed };
    const said = Object.entries(numbers).map(([name, value]) => [name, String(value)]);
    this.form.set({ ...Object.fromEntries(said), prompt, negative: negative ?? "" });
    this.isOwnPrompt = true;
    if (mask) this.regionsChosen(mask);
    else this.askSoon();
  }

  // A mask and values that were advised.
  propose({ mask, values }) {
    this.form.set(values);
    this.regionsChosen(mask);
  }

  // ---- face, task, mask

  setFace(face) {
    this.face = face;
    this.form.showFaces(this.picture.faces.map(({ number }) => number), face);
    this.setMask(this.task === CUSTOM ? onFace(this.form.fields.mask.value, face) : maskOf(this.task, face));
    if (face !== ALL) this.tab.editor.pickFace(Number(face));
    this.tab.subject.offerNext();
    this.measure();
    this.applyMask();
  }

  setTask(task) {
    this.task = task;
    this.form.showTask(task);
    this.tab.show("mask");
    if (task === CUSTOM) return this.form.fields.mask.focus();
    this.setMask(maskOf(task, this.face));
    this.form.set({ strength: TASKS[task].strength });
    this.tab.subject.offerNext();
    return this.applyMask();
  }

  setMask(text) {
    this.form.set({ mask: text });
    this.askSoon();
  }

  // Regions were clicked in the picture.
  regionsChosen(text) {
    this.setMask(text);
    this.isTask();
    this.applyMask();
  }

  // A mask that no task stands for is one's own.
  isTask() {
    const { value } = this.form.fields.mask, [face, ...others] = new Set(value.match(/\bface(?:s|\d+)(?=\.)/g));
    const named = face === "faces" ? ALL : face?.slice("face".length);
    if (named && !others.length) this.followFace(named);
    this.task = Object.keys(TASKS).find((task) => maskOf(task, this.face) === value) ?? CUSTOM;
    this.form.showTask(this.task);
  }

  // The mask names one face of the picture: then that is the chosen one.
  followFace(face) {
    const numbers = this.picture?.faces.map(({ number }) => number) ?? [];
    if (face === this.face || (face !== ALL && !numbers.includes(Number(face)))) return;
    this.face = face;
    this.form.showFaces(numbers, face);
    if (face !== ALL) this.tab.editor.pickFace(Number(face));
    this.measure();
  }

  async applyMask() {
    const { picture } = this, text = this.form.fields.mask.value.trim();
    const numbers = picture?.faces.map(({ number }) => number) ?? [];
    const isCurrent = () => picture === this.picture && text === this.form.fields.mask.value.trim();
    let fault = numbers.length ? faceFault(text, numbers) : "", mask = null;
    try {
      if (numbers.length && text && !fault) mask = await source.mask(picture.id, text);
    } catch (error) {
      fault = error.message;
    }
    if (!isCurrent()) return;
    this.maskFault = fault;
    this.refuse();
    if (!mask) return;
    this.tab.editor.setExpression(text);
    await this.tab.editor.setMask(mask);
    this.tab.keep();
  }

  // The editor tells: what was painted, and what an undo brought back.
  painted({ isPainted, isEmpty, share, expression }) {
    const wasPainted = this.isPainted, share100 = (100 * share).toFixed(share < 0.1 ? 2 : 1);
    Object.assign(this, { isPainted, isEmpty });
    const told = `Painted mask: ${share100} % of the picture. The regions above are not asked.`;
    const label = this.picture?.faces.length ? "Back to regions" : "";
    this.form.say(this.form.painted, isPainted ? told : "", label, () => this.applyMask());
    for (const field of [this.form.fields.mask, this.form.grow, this.form.feather]) field.disabled = isPainted;
    if (!isPainted && expression && expression !== this.form.fields.mask.value.trim()) {
      this.form.set({ mask: expression });
      this.isTask();
    }
    if (wasPainted !== isPainted) this.askSoon();
    this.refuse();
  }

  // ---- values

  changed(name) {
    if (name === "prompt") this.isOwnPrompt = true;
    if (name === "mask") {
      this.form.showTail();
      this.isTask();
      clearTimeout(this.masking);
      this.masking = setTimeout(() => this.applyMask(), SOON_MS);
    }
    this.askSoon();
  }

  newSeed() {
    const [seed] = crypto.getRandomValues(new Uint32Array(1));
    this.form.set({ seed: String(seed % 2 ** SEED_BITS) });
    this.askSoon();
  }

  resetPrompt() {
    this.isOwnPrompt = false;
    this.askSoon();
  }

  setReference(file) {
    if (file) return this.takeReference(() => source.open(file), file.name);
    this.reference = null;
    this.form.nameReference("");
    this.form.photo.show();
    this.form.photoFields.hidden = true;
    return this.askSoon();
  }

  async takeReference(ask, name) {
    const { photo } = this.form;
    photo.show({ name, told: "is being opened" });
    try {
      const { id, url, width, height, faces } = await ask();
      const eyes = faces[0] ? `, ${Math.round(faces[0].eye_distance)} px between the eyes` : ", no face found in it";
      this.showReference({ id, url, name, told: `${width} × ${height}${eyes}` });
    } catch (error) {
      photo.show({ name, fault: error.message });
    }
    this.askSoon();
  }

  showReference(reference) {
    this.reference = reference;
    this.form.nameReference(reference.name);
    this.form.photo.show(reference);
    this.form.photoFields.hidden = false;
    this.form.reference.open = true;
  }

  // ---- asking

  get asked() {
    const { picture, tab, isOwnPrompt, reference } = this, { prompt, ...values } = this.form.values;
    const { run = "", key = "" } = tab.subject.from ?? {};
    return { ...values, prompt: isOwnPrompt ? prompt : "", picture: picture?.id ?? "", run, key,
      reference: reference?.id ?? "", name: tab.subject.name, face: this.face };
  }

  askSoon() {
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.ask(), SOON_MS);
  }

  async ask() {
    const asked = this.isPainted ? { ...this.asked, mask: "", is_painted: true } : this.asked;
    const number = this.number = (this.number ?? 0) + 1;
    try {
      const told = await source.told(asked);
      if (number !== this.number) return;
      this.told = told;
      this.show(told);
    } catch (error) {
      if (number === this.number) this.form.refuse(error.message);
    }
    this.tab.keep();
  }

  show(told) {
    const { form } = this, { fields } = form;
    form.choices("checkpoint", told.checkpoints);
    if (!fields.checkpoint.value || !this.picture) fields.checkpoint.value = told.checkpoint;
    form.choices("scheduler", [["as the checkpoint likes it", ""], ...told.schedulers.map((name) => [name, name])]);
    for (const [name, text] of told.likes) fields[name].placeholder = text;
    if (!this.isOwnPrompt) fields.prompt.value = told.prompt;
    fields.negative.placeholder = told.negative;
    form.promptBy.textContent = this.isOwnPrompt ? "Your own words." : told.prompt_by;
    form.reset.hidden = !this.isOwnPrompt;
    form.state.textContent = told.state;
    form.say(form.weightTold, this.reference ? told.reference : "");
    this.refuse();
  }

  refuse() {
    const { told, picture } = this, wrong = this.maskFault && !this.isPainted ? this.maskFault : "";
    const fault = picture && !this.isUnmasked ? wrong || (told?.fault ?? "") : "";
    this.form.refuse(fault, wrong ? "mask" : undefined);
    this.form.estimate.textContent = this.isUnmasked ? PAINT_FIRST : fault || !picture ? "" : told?.estimate ?? "";
  }

  // Without a face only a painted mask says what may change.
  get isUnmasked() { return Boolean(this.picture && !this.picture.faces.length && (!this.isPainted || this.isEmpty)); }

  // Advice where the light itself is flat: a repair keeps that light.
  async measure() {
    const { picture, face } = this, { form } = this, id = `${picture.id} ${face}`;
    form.say(form.advice, face === ALL ? OF_ALL : "");
    if (!picture.faces.length || face === ALL) return;
    try {
      if (!this.measured.has(id)) this.measured.set(id, (await source.measures(picture.id, face)).flat);
    } catch {
      this.measured.set(id, ""); // too small or turned away to be measured: then there is no advice
    }
    if (picture !== this.picture || face !== this.face || !this.measured.get(id)) return;
    const [first, ...rest] = this.measured.get(id);
    form.say(form.advice, `${first.toUpperCase()}${rest.join("")}.`.replace("..", "."), "New picture in Create", () => {
      const [original] = this.tab.subject.links; // what came after it are repairs
      if (original?.run) page().hand("create", original);
      else page().go("create");
    });
  }

  async repair() {
    const { tab, form } = this;
    if (this.isQueueing) return;
    if (!this.picture) {
      form.refuse("open a portrait first: drop one on the left, or use Repair face on a picture");
      return;
    }
    if (this.isUnmasked) {
      form.refuse(PAINT_FIRST);
      return;
    }
    if (!form.fields.seed.value.trim()) this.newSeed();
    this.isQueueing = form.repair.disabled = true;
    form.estimate.textContent = "is being queued; the mask is drawn at full size";
    try {
      const painted = this.isPainted ? (await source.paint(this.picture.id, await tab.editor.mask())).mask : "";
      const { run } = await source.begin({ ...this.asked, ...(painted ? { mask: "", painted } : {}) });
      this.taskMade = this.task;
      tab.chosen = "";
      tab.spoken.textContent = `The repair of ${faceOf(this.face)} is queued`;
      tab.run.follow(run);
      tab.show("result");
      tab.result.root.focus({ preventScroll: true }); // its keys are wanted next
      tab.keep();
      this.refuse();
    } catch (error) {
      form.refuse(error.message);
    } finally {
      this.isQueueing = form.repair.disabled = false;
    }
  }
}
