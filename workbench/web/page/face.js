// The Face tab: a portrait, what of it may change, how, and what came of it. Knows nothing about how masks are painted
// or pictures made; it brings form, mask editor, run and result together.

import { MaskEditor } from "../components/mask_editor.js";
import { choice, make, press } from "../components/element.js";
import { isTyped } from "../components/gestures.js";
import page from "./bus.js";
import { FaceForm } from "./face_form.js";
import { helpOf } from "./face_keys.js";
import { kept, keep } from "./face_keep.js";
import { proofOf } from "./face_proof.js";
import { FaceResult } from "./face_result.js";
import { FaceRun } from "./face_run.js";
import { FaceSubject } from "./face_subject.js";
import { FaceWork } from "./face_work.js";
import { FaceChain, FaceStrip } from "./face_strip.js";
import { source } from "./face_source.js";
import { nameOf } from "./face_tasks.js";
import { progressOf } from "../components/making_words.js";

const VIEWS = [["Mask", "mask", "What may change (m)"], ["Result", "result", "What came of it (m)"]];
const ZOOMS = [["Crop", "crop", "The part that was worked on (z)"], ["Fit", "0", "The whole picture"],
  ["100", "1", "Pixel by pixel (z)"], ["200 %", "2", "Two by two pixels"]];
const CHEEK_ZOOM = 2;
const MOST_COMPARED = 4;

class FaceTab {
  constructor(element) {
    this.view = "mask";
    this.chosen = "";
    this.build(element);
    this.subject = new FaceSubject(this);
    this.work = new FaceWork(this);
    this.listen();
    this.begin();
  }

  // ---- once

  build(element) {
    this.form = new FaceForm({
      change: (name) => this.work.changed(name), file: (file) => this.subject.openFile(file),
      face: (face) => this.work.setFace(face), task: (task) => this.work.setTask(task),
      newSeed: () => this.work.newSeed(), resetPrompt: () => this.work.resetPrompt(),
      reference: (file) => this.work.setReference(file), repair: () => this.work.repair(),
    });
    this.editorAt = make("div", { className: "sl-face-editor" });
    this.empty = this.buildEmpty();
    this.result = new FaceResult(() => press(this.zooms, this.result.isAtCrop ? "crop" : this.result.view.zoom));
    this.result.root.hidden = true;
    this.strip = new FaceStrip((id) => this.choose(id));
    this.chain = new FaceChain((at) => this.subject.goBack(at));
    this.proof = make("div", { className: "sl-face-proof", hidden: true });
    this.job = this.buildJob();
    this.problem = make("span", { className: "sl-problem", role: "alert" });
    this.spoken = make("span", { className: "sl-spoken", ariaLive: "polite" });
    this.help = helpOf();
    const view = make("div", { className: "sl-face-view" }, this.editorAt, this.result.root, this.empty);
    const stage = make("div", { className: "sl-face-stage" }, this.buildTools(), view, this.proof, this.job,
      this.problem, this.strip.root, this.chain.root, this.spoken, this.help);
    this.root = make("div", { className: "sidelight sl-face" }, make("div", { className: "sl-face-left" },
      this.form.root), stage);
    element.replaceChildren(this.root);
    this.editor = new MaskEditor(this.editorAt, { on: {
      change: (state) => this.work.painted(state), expression: (text) => this.work.regionsChosen(text),
      say: (text) => page().say(text),
    } });
    this.run = new FaceRun(this.root, { onNews: () => this.draw(),
      onProblem: (text) => { this.problem.textContent = text && `${text}; asking again`; } });
  }

  buildTools() {
    const button = (text, title, onclick, className = "") =>
      make("button", { type: "button", text, title, onclick, className });
    this.views = choice("View", VIEWS, (view) => { this.show(view); this.keep(); });
    this.zooms = choice("Zoom", ZOOMS, (zoom) => this.zoom(zoom));
    this.before = button("Before", "Held: the picture before (b)");
    this.before.onpointerdown = () => this.result.hold(true);
    for (const end of ["onpointerup", "onpointerleave", "onblur"]) this.before[end] = () => this.result.hold(false);
    this.wiping = button("Wipe", "Before at the left, after at the right (w)", () => this.wipe());
    this.looks = make("span", { className: "sl-acts" }, this.zooms, this.before, this.wiping);
    this.accept = button("Accept", "Go on from this one, and mark it as picked (a)", () => this.subject.accept(),
      "sl-main");
    this.compare = button("Compare on the cheek", "These beside each other in Compare, at 200 % (c)",
      () => this.compareOnCheek());
    this.save = make("a", { text: "Save PNG", className: "sl-as-button", title: "The file as it is on the disk" });
    this.acts = make("span", { className: "sl-acts", role: "group", ariaLabel: "Use this picture" }, this.accept,
      this.compare, this.save);
    this.helpButton = button("?", "All keys", () => this.help.showModal());
    return make("div", { className: "sl-tools", role: "toolbar", ariaLabel: "Picture" }, this.views, this.looks,
      make("span", { className: "sl-push" }), this.acts, this.helpButton);
  }

  buildEmpty() {
    const steps = ["Open a portrait: drop it anywhere here.", "Choose the face, and what of it changes.",
      "Repair it at several strengths, compare them on the cheek, accept one."];
    return make("div", { className: "sl-words sl-face-empty" }, make("b", { text: "Repair skin, eyes or mouth, and "
      + "nothing else" }), make("ol", {}, ...steps.map((text) => make("li", { text }))),
      make("span", { text: "Outside the mask not one sample changes, and each repair proves it. The picture itself stays "
        + "as it is: every step can be gone back from." }),
      make("button", { type: "button", text: "Choose a portrait", className: "sl-main",
        onclick: () => this.form.portrait.choose.click() }));
  }

  buildJob() {
    this.bar = make("i");
    this.told = make("span", { className: "sl-told" });
    this.steer = make("button", { type: "button" });
    return make("div", { className: "sl-making-job", hidden: true },
      make("span", { className: "sl-progress" }, this.bar), this.told, this.steer);
  }

  listen() {
    document.addEventListener("keydown", (event) => this.onKey(event));
    document.addEventListener("keyup", ({ key }) => { if (key === "b") this.result.hold(false); });
    document.addEventListener("sidelight:face", () => this.takeHanded());
    this.root.addEventListener("dragover", (event) => event.preventDefault());
    this.root.addEventListener("drop", (event) => {
      if (event.defaultPrevented) return;
      event.preventDefault();
      const [file] = event.dataTransfer.files;
      if (file) this.subject.openFile(file);
    });
  }

  async begin() {
    this.show("mask");
    this.draw();
    const was = kept();
    await this.work.restore(was);
    if (this.takeHanded()) return;
    if (was.picture) await this.subject.restore(was);
  }

  // A picture of another tab, if one waits.
  takeHanded() {
    const handed = page().forFace;
    page().forFace = null;
    if (handed?.isAgain) this.subject.openAgain(handed);
    else if (handed) this.openHanded(handed);
    return Boolean(handed);
  }

  async openHanded(handed) {
    if (await this.subject.openOfRun(handed) && handed.mask) this.work.propose(handed);
  }

  keep() { keep({ ...this.work.kept, ...this.subject.kept, run: this.run.run, chosen: this.chosen,
    view: this.view }); }

  // ---- drawing

  show(view) {
    this.view = view;
    press(this.views, view);
    this.views.hidden = this.editorAt.hidden = !this.subject.picture;
    this.editorAt.hidden ||= view !== "mask";
    this.empty.hidden = Boolean(this.subject.picture);
    this.result.root.hidden = view !== "result";
    this.draw();
  }

  get cell() { return this.run.cells.find(({ key }) => key === this.chosen); }
  get isOfSkin() { return !["eyes", "mouth", "neck"].includes(this.work?.taskMade); }
  get isDone() { return this.cell?.state === "done"; }

  draw() {
    const { run, cell, isDone } = this, isResult = this.view === "result";
    this.views.lastChild.disabled = !run.run;
    this.looks.hidden = !isResult || !isDone;
    this.helpButton.hidden = !isResult; // the mask has its own
    for (const part of [this.accept, this.compare]) part.hidden = !isResult || !isDone;
    this.compare.textContent = `Compare on the ${this.isOfSkin ? "cheek" : nameOf(this.work.taskMade)}`;
    this.drawSave();
    this.drawJob();
    this.drawStrip();
    if (isResult) this.drawResult(cell);
    proofOf(this.proof, isResult && isDone ? run.sidecars.get(cell.key) : null, run.run);
    if (!this.chosen) this.chooseFirst();
  }

  chooseFirst() {
    const first = this.run.cells.find(({ state }) => state === "done");
    if (first) this.choose(first.key);
  }

  drawSave() {
    const of = this.view === "result" && this.isDone ? { run: this.run.run, key: this.chosen } : this.subject.from;
    this.save.hidden = !of;
    if (!of) return;
    this.save.href = `/pictures/${encodeURIComponent(of.run)}/${of.key}.png`;
    this.save.download = `${of.key}.png`;
  }

  drawJob() {
    const { job, live, run } = this.run;
    const isWhole = !this.run.isOpen && this.run.cells.every(({ state }) => state === "done");
    const isShown = Boolean(run && job && job.state !== "done" && !isWhole);
    this.job.hidden = !isShown;
    if (!isShown) return;
    const { isOpen } = this.run, words = progressOf(job, live);
    const ended = job.state === "failed" ? words.text : `${job.state}; what is whole stays`;
    const doing = live?.doing && !Object.keys(live.cells).length ? live.doing : words.text;
    this.bar.style.transform = `scaleX(${words.share})`;
    this.bar.parentNode.hidden = !isOpen;
    this.told.textContent = isOpen ? doing : ended;
    this.steer.textContent = isOpen ? "Cancel" : job.state === "failed" ? "Try again" : "Go on";
    this.steer.disabled = isOpen && job.wish === "cancel";
    this.steer.onclick = () => this.steerJob(isOpen ? "cancel" : job.state === "paused" ? "resume" : "retry", job.id);
  }

  async steerJob(how, id) {
    this.steer.disabled = true;
    try {
      await source.wish(id, how);
    } catch (error) {
      page().say(error.message);
    }
    this.run.look();
  }

  drawStrip() {
    const { run } = this, { picture } = this.subject;
    if (!run.run || !picture) return this.strip.show([], {});
    const before = { id: "before", label: "before", state: "done", url: run.beforeUrl || picture.url };
    const cells = run.cells.map((cell) => this.tileOf(cell));
    return this.strip.show([before, ...cells], { chosen: this.chosen, rectangle: this.rectangle,
      size: [picture.width, picture.height] });
  }

  tileOf(cell) {
    const { live } = this.run, step = live?.cells[cell.key];
    const waits = this.run.isOpen ? "waits" : "not made";
    const waiting = step ? `step ${step.step} of ${step.steps}` : waits;
    const told = { done: "", failed: cell.reason, waiting };
    const preview = step && live.preview?.key === cell.key ? live.preview.url : "";
    return { id: cell.key, label: this.run.labelOf(cell), state: cell.state, url: cell.picture ?? "", preview,
      told: told[cell.state], share: step?.steps ? step.step / step.steps : 0 };
  }

  get rectangle() { return this.run.rectangle ?? this.subject.faceRectangle; }

  drawResult(cell) {
    const { run } = this, { picture } = this.subject;
    if (cell?.state === "done") {
      return this.result.show({ before: run.beforeUrl, after: cell.picture, rectangle: run.rectangle,
        name: `repaired at ${run.labelOf(cell)}` });
    }
    if (cell?.state === "failed") return this.result.say("Not made", cell.reason);
    const url = run.beforeUrl || picture?.url;
    return url && this.result.show({ before: url, after: url, rectangle: this.rectangle, name: "before" });
  }

  // ---- what a person does

  choose(id) {
    this.chosen = id;
    if (this.view !== "result") this.show("result");
    this.draw();
    this.keep();
  }

  walk(by) {
    const ids = ["before", ...this.run.cells.map(({ key }) => key)], at = ids.indexOf(this.chosen);
    const next = ids[Math.max(0, Math.min(ids.length - 1, at + by))];
    if (!this.run.run || !next) return;
    this.choose(next);
    if (this.strip.root.contains(document.activeElement)) this.strip.focus(next);
  }

  zoom(zoom) {
    if (zoom === "crop") this.result.toCrop();
    else this.result.zoomTo(Number(zoom));
  }

  wipe() {
    this.result.wipe(!this.result.isWiping);
    this.wiping.ariaPressed = String(this.result.isWiping);
  }

  async compareOnCheek() {
    const { run, cells } = this.run, done = cells.filter(({ state }) => state === "done").map(({ key }) => key);
    const others = done.filter((key) => key !== this.chosen).slice(0, MOST_COMPARED - 1);
    const wanted = done.filter((key) => key === this.chosen || others.includes(key));
    const { cheek, face } = await source.places(run).catch(() => ({}));
    const ofSkin = this.isOfSkin ? cheek ?? face : null;
    const [x, y, width, height] = ofSkin ?? this.run.worked ?? [0, 0, 1, 1];
    const aim = { zoom: CHEEK_ZOOM, x: x + width / 2, y: y + height / 2, crop: "face" };
    page().open(run, { cells: wanted, tab: "compare", aim });
  }

  onKey(event) {
    if (!this.root.checkVisibility() || document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) {
      event.preventDefault();
      this.work.repair();
      return;
    }
    const { target } = event, isInside = this.root.contains(target);
    const isOurs = isInside || target === document.body || target.closest("[role=tab]");
    if (!isOurs || isTyped(target) || event.ctrlKey || event.altKey || event.metaKey) return;
    const hit = this.keys()[event.key];
    if (hit) {
      event.preventDefault();
      hit();
    } else if (this.view === "mask" && !this.editorAt.contains(event.target)) this.editor.onKey(event);
  }

  keys() {
    const common = { m: () => this.show(this.view === "mask" && this.run.run ? "result" : "mask"),
      "?": () => this.help.showModal() };
    if (this.view === "mask") return common;
    return { ...common, ArrowLeft: () => this.walk(-1), ArrowRight: () => this.walk(1), b: () => this.result.hold(true),
      w: () => this.wipe(), z: () => this.zoom(this.result.view.zoom === 1 && !this.result.isAtCrop ? "crop" : "1"),
      "+": () => this.result.stepZoom(1), "-": () => this.result.stepZoom(-1), Escape: () => this.show("mask"),
      a: () => this.isDone && this.subject.accept(), c: () => this.isDone && this.compareOnCheek() };
  }
}

export function mount(element) {
  return new FaceTab(element);
}
