// The portrait that is worked on: opened, accepted, gone back from, with the chain it stands in and its faces.
// Knows nothing about masks or forms but which face is chosen.

import page from "./bus.js";
import { faceOf, nameOf, nextTask } from "./face_tasks.js";
import { around } from "./face_run.js";
import { fileAt, source } from "./face_source.js";

export class FaceSubject {
  constructor(tab) {
    Object.assign(this, { tab, picture: null, from: null, name: "", links: [], now: -1, tip: null, made: [] });
  }

  get kept() {
    const { picture, from, name, made, tip, now } = this;
    return { picture: picture && { answer: picture, from, name }, made, tip, now };
  }

  // ---- opening

  openFile(file) { return this.open(() => source.open(file), { name: file.name }); }

  openOfRun({ run, key }, { name = run, at = -1 } = {}) {
    return this.open(() => source.openOfRun({ run, key }), { name, from: { run, key }, at });
  }

  // The picture that a repair was made from, with that repair's own values in the form.
  async openAgain({ run, key }) {
    try {
      const { recipe } = await source.sidecar(run, key);
      this.name = run;
      await this.fetchChain({ run, key });
      const { mask } = this.links.at(-1);
      if (this.links.length > 1 && await this.goBack(this.links.length - 2)) this.tab.work.take(recipe, mask);
    } catch (error) {
      page().say(error.message);
    }
  }

  async restore({ picture, run, chosen, made, tip, now, view }) {
    const { answer, from, name } = picture;
    if (tip) await this.fetchChain(tip);
    const ask = async () => {
      if (from) return source.openOfRun(from);
      await fileAt(answer.url);
      return answer;
    };
    const isThere = await this.open(ask, { name, from, isQuiet: true, at: now ?? -1 });
    if (!isThere) return;
    this.made = Array.isArray(made) ? made : [];
    this.offerNext();
    if (!run) return;
    this.tab.chosen = chosen ?? "";
    this.tab.run.follow(run);
    if (view === "result") this.tab.show(view);
  }

  // Whether it is open now. What was there stays where the other cannot be opened.
  // `at` is its place in the chain that is known, if it is one of it.
  async open(ask, { name, from = null, isQuiet = false, at = -1 }) {
    const { tab } = this, { portrait } = tab.form;
    const asked = this.asked = Symbol(name);
    portrait.show({ url: this.picture?.url ?? "", name, told: "is being opened; faces are looked for" });
    let picture;
    try {
      picture = await ask();
    } catch (error) {
      if (asked !== this.asked) return false;
      if (!this.picture) portrait.show(isQuiet ? {} : { name, fault: error.message });
      else {
        this.showPortrait();
        tab.form.say(tab.form.noFace, `${name} was not opened: ${error.message}`);
      }
      return false;
    }
    if (asked !== this.asked) return false;
    Object.assign(this, { picture, from, name, made: [], now: -1 });
    tab.run.follow("");
    tab.chosen = "";
    this.showPortrait();
    tab.show("mask");
    const chained = this.askChain(at);
    await tab.editor.open(picture);
    await tab.work.opened(picture);
    await chained;
    tab.keep();
    return true;
  }

  showPortrait() {
    const { picture, name, from, tab } = this, { portrait, noFace } = tab.form, { width, height, faces } = picture;
    const found = faces.length === 1 ? "1 face" : `${faces.length} faces`;
    const pass = this.links[this.now]?.label;
    const told = [pass, `${width} × ${height}`, faces.length ? found : "no face found"].filter(Boolean).join(" · ");
    const url = from ? `/pictures/${encodeURIComponent(from.run)}/${from.key}.webp` : picture.url;
    portrait.show({ url, name, told });
    const text = faces.length ? "" : picture.no_face || "No face was found: paint what may change by hand.";
    tab.form.say(noFace, text, "Paint a mask", () => { tab.show("mask"); tab.editor.setTool("brush"); });
  }

  // Of the chosen face, with room around it, as shares; null without one.
  get faceRectangle() {
    const { picture, tab } = this, face = picture?.faces.find(({ number }) => String(number) === tab.work?.face);
    if (!face) return null;
    const [left, top, right, bottom] = face.box, { width, height } = picture;
    return around([left / width, top / height, (right - left) / width, (bottom - top) / height]);
  }

  // ---- accepting and going back

  async accept() {
    const { tab } = this, { run } = tab.run, key = tab.chosen, task = tab.work.taskMade;
    if (this.isAccepting) return;
    this.isAccepting = true;
    const made = [...this.made, task], label = tab.run.labelOf(tab.cell);
    try {
      await source.mark(run, key, "pick");
      if (!await this.openOfRun({ run, key }, { name: this.name })) return;
      this.made = made;
      this.offerNext();
      page().say(`Accepted: ${nameOf(task)} at ${label}. The one before stays; the history goes back to it.`);
      tab.keep();
    } catch (error) {
      page().say(`It was not accepted: ${error.message}`);
    } finally {
      this.isAccepting = false;
    }
  }

  offerNext() {
    const { tab, made } = this, next = made.length ? nextTask(made) : "";
    tab.chain.offer(next ? `Next: ${nameOf(next)}, ${faceOf(tab.work.face)}` : "", () => tab.work.setTask(next));
  }

  // The chain is asked for where the picture is not in the one that is known.
  async askChain(at) {
    const { from, tab } = this;
    if (at >= 0 && at < this.links.length) this.now = at;
    else {
      Object.assign(this, { links: [], now: -1, tip: from });
      if (from) await this.fetchChain(from);
      this.now = this.links.length - 1;
    }
    this.offerNext();
    this.showPortrait();
    tab.chain.show(this.links, this.now);
  }

  async fetchChain({ run, key }) {
    try {
      this.links = (await source.history(run, key)).links;
      this.tip = { run, key };
    } catch (error) {
      page().say(`Its history is not known: ${error.message}`);
    }
  }

  async goBack(at) {
    const { run, key, url } = this.links[at];
    if (run && key) return this.openOfRun({ run, key }, { name: this.name, at });
    try {
      const file = await fileAt(url);
      return await this.open(() => source.open(file), { name: this.name, at });
    } catch (error) {
      return page().say(error.message);
    }
  }
}
