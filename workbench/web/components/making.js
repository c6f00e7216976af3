// A picture while it is made, and the last ones: preview, progress, then the picture itself with its values and what it
// can become. Knows nothing about routes or forms. A module: `mount(element, {source, actions, onAct})`.
// `source.last()` answers {pictures, jobs}, `source.live(run)` {cells: {KEY: {step, steps}}, preview: {key, step, url}
// or null}; `source.cancel(job)` and `source.retry(job)` steer. An action is [name, text, key, title].

import { choice, make, press } from "./element.js";
import { keysHelp } from "./keys_help.js";
import { inPlace, watchDrag } from "./making_view.js";
import { News } from "./news.js";
import { progressOf, spanOf } from "./making_words.js";
import { FIT, devicePx, panned, zoomed } from "./viewport.js";

const SECONDS = { busy: 0.7, idle: 3 };
const DEFAULTS = {
  actions: [],
  onAct() {}, // (name, picture)
  onMade() {}, // when another picture is the newest
  emptyTitle: "No picture yet",
  emptyText: "Choose a light on the left, or write a prompt, and press Make picture. Every picture stays here. "
    + "A picture of Sidelight or another tool can be dropped anywhere on this tab: its settings fill the form.",
  emptyActions: [], // [text, what it does, class]
};
const LONG = ["light", "prompt", "negative", "warning"];
const nameOf = ({ run, key }) => `${run}/${key}`;

class Making {
  constructor(element, options) {
    this.options = { ...DEFAULTS, ...options };
    Object.assign(this, { pictures: [], jobs: [], live: null, chosen: "", view: FIT, tiles: new Map() });
    this.isFollowing = true;
    this.build(element);
    this.news = new News(this.root, () => this.ask(), SECONDS.busy);
    this.news.poll();
  }

  // ---- once

  build(element) {
    const { actions } = this.options;
    this.zooms = choice("Zoom", [["Fit", "0", "The whole picture (z)"], ["100 %", "1", "Pixel by pixel (z)"]],
      (zoom) => this.zoomTo(Number(zoom)));
    this.acts = make("span", { className: "sl-acts", role: "group", ariaLabel: "Use this picture" },
      ...actions.map(([name, text, key, title]) => make("button", { type: "button", text, title: `${title} (${key})`,
        onclick: () => this.act(name) })));
    this.helpButton = make("button", { type: "button", text: "?", title: "All keys", ariaLabel: "All keys",
      onclick: () => this.help.showModal() });
    this.back = make("button", { type: "button", hidden: true, text: "Back to what is being made",
      onclick: () => this.follow() });
    this.tools = make("div", { className: "sl-tools", role: "toolbar", ariaLabel: "Picture" },
      this.zooms, this.back, make("span", { className: "sl-push" }), this.acts, this.helpButton);
    this.emptyButtons = make("div", { className: "sl-acts" },
      ...this.options.emptyActions.map(([text, onclick, className = ""]) =>
        make("button", { type: "button", text, onclick, className })));
    this.image = make("img", { alt: "", draggable: false, hidden: true });
    this.words = make("div", { className: "sl-words", hidden: true });
    this.frame = make("div", { className: "sl-making-frame", tabIndex: 0, role: "group" }, this.image, this.words);
    this.values = make("aside", { className: "sl-making-values", ariaLabel: "Its values", hidden: true, tabIndex: 0 });
    this.stage = make("div", { className: "sl-making-stage" }, this.frame, this.values);
    this.bar = make("i");
    this.told = make("span", { className: "sl-told" });
    this.button = make("button", { type: "button" });
    this.job = make("div", { className: "sl-making-job", hidden: true },
      make("span", { className: "sl-progress" }, this.bar), this.told, this.button);
    this.problem = make("span", { className: "sl-problem", role: "alert" });
    this.strip = make("div", { className: "sl-strip", role: "listbox", ariaLabel: "The last pictures",
      ariaOrientation: "horizontal" });
    this.spoken = make("span", { className: "sl-spoken", ariaLive: "polite" });
    this.help = keysHelp([
      ["← →", "the picture before and after, in the row below"], ["Home End", "newest and oldest"],
      ["z", "fit or 100 %; so does a double click, and dragging moves the picture"],
      ...actions.map(([, , key, title]) => [key, title]), ["Esc", "back to what is being made"],
      ["Ctrl Enter", "make a picture, from anywhere in this tab"], ["?", "this list"]]);
    this.root = make("div", { className: "sidelight sl-making" }, this.tools, this.stage, this.job, this.problem,
      this.strip, this.spoken, this.help);
    document.addEventListener("keydown", (event) => this.onKey(event));
    this.frame.addEventListener("dblclick", (event) => this.zoomTo(this.view.zoom ? 0 : 1, event));
    watchDrag(this.frame, (x, y) => this.pan(x, y));
    new ResizeObserver(() => this.place()).observe(this.frame);
    element.replaceChildren(this.root);
  }

  // ---- asking

  async ask() {
    try {
      const { pictures, jobs } = await this.options.source.last();
      const job = jobs.find(({ state }) => state === "running") ?? jobs.find(({ state }) => state === "waiting");
      const live = job ? await this.options.source.live(job.run) : null;
      this.problem.textContent = "";
      this.take(pictures, jobs, job, live);
    } catch (error) {
      this.problem.textContent = `${error.message}; asking again`;
    }
    this.news.seconds = this.making || this.problem.textContent ? SECONDS.busy : SECONDS.idle;
  }

  take(pictures, jobs, job, live) {
    const newest = pictures[0] && nameOf(pictures[0]);
    const isNew = newest && newest !== this.newest;
    if (isNew && this.newest !== undefined) this.tellMade();
    this.newest = newest ?? "";
    Object.assign(this, { pictures, jobs, making: job ?? null, live });
    if (this.isFollowing && newest) this.chosen = newest;
    if (!this.picture && newest) this.chosen = newest;
    this.drawStrip();
    this.draw();
  }

  tellMade() {
    this.spoken.textContent = "A picture is made";
    this.options.onMade();
  }

  // Somebody has just pressed Make: what is new is shown, and asked for at once.
  follow() {
    this.isFollowing = true;
    this.news.poll();
    this.draw();
  }

  get picture() { return this.pictures.find((each) => nameOf(each) === this.chosen); }
  get isLive() { return Boolean(this.isFollowing && this.making); }

  // ---- what a person does

  choose(name) {
    this.chosen = name;
    this.isFollowing = !this.making && name === this.newest;
    this.draw();
    for (const [each, tile] of this.tiles) this.markTile(each, tile);
    this.tiles.get(name)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  walk(by) {
    const at = this.pictures.findIndex((each) => nameOf(each) === this.chosen);
    const next = this.pictures[Math.max(0, Math.min(this.pictures.length - 1, at + by))];
    if (!next) return;
    this.choose(nameOf(next));
    if (this.strip.contains(document.activeElement)) this.tiles.get(this.chosen)?.focus();
  }

  act(name) {
    if (this.picture && !this.isLive) this.options.onAct(name, this.picture);
  }

  onKey(event) {
    const isOurs = event.target === document.body || this.root.contains(event.target);
    const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey;
    if (!isOurs || !isPlain || !this.root.checkVisibility() || event.target.closest("dialog")) return;
    const all = this.pictures.length;
    const keys = { ArrowLeft: () => this.walk(-1), ArrowRight: () => this.walk(1), Home: () => this.walk(-all),
      End: () => this.walk(all), z: () => this.zoomTo(this.view.zoom ? 0 : 1), "?": () => this.help.showModal(),
      Escape: () => this.making && this.follow() };
    for (const [name, , key] of this.options.actions) keys[key] = () => this.act(name);
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  }

  zoomTo(zoom, event) {
    const size = this.size, frame = this.frameSize();
    if (!size || this.isLive) return;
    const box = this.frame.getBoundingClientRect();
    const aim = event ? [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2] : [0, 0];
    this.view = zoomed(this.view, zoom, size, frame, aim.map((px) => px * devicePixelRatio));
    this.place();
  }

  pan(x, y) {
    if (!this.size || !this.view.zoom) return;
    this.view = panned(this.view, [x, y].map((px) => px * devicePixelRatio), this.size, this.frameSize());
    this.place();
  }

  // ---- drawing

  draw() {
    const { picture, isLive } = this;
    this.zooms.hidden = this.acts.hidden = isLive || !picture;
    this.back.hidden = !this.making || this.isFollowing;
    this.values.hidden = isLive || !picture;
    this.drawJob();
    if (isLive) this.drawLive();
    else if (picture) this.drawPicture(picture);
    else this.say(this.options.emptyTitle, this.options.emptyText, this.emptyButtons);
  }

  say(title, text, buttons = null) {
    this.image.hidden = true;
    Object.assign(this, { size: null, wanted: "" });
    this.frame.role = "group";
    this.frame.ariaLabel = title;
    if (!this.words.hidden && this.said === title + text) return; // whoever is about to press a button keeps it
    this.said = title + text;
    this.words.hidden = false;
    this.words.replaceChildren(make("b", { text: title }), make("span", { text }), ...(buttons ? [buttons] : []));
  }

  drawLive() {
    const { preview } = this.live ?? {};
    const words = progressOf(this.making, this.live);
    if (!preview) return this.say(words.title, words.text);
    this.load(preview.url, `preview of the picture that is being made, ${words.text}`, "preview");
  }

  drawPicture(picture) {
    const told = picture.values.map(([name, text]) => `${name} ${text}`).join(", ");
    this.load(picture.picture, told.slice(0, 300), "picture");
    if (this.shownValues === picture.key) return;
    this.shownValues = picture.key;
    const isLong = ([name]) => LONG.includes(name);
    const line = ([name, text]) => {
      const className = isLong([name]) ? "sl-wide" : "";
      return [make("dt", { text: name, className }), make("dd", { text, className })];
    };
    const facts = [["took", spanOf(picture.seconds)], ["key", picture.key], ["warning", picture.warning]];
    const all = [...picture.values, ...facts].filter(([, text]) => text);
    const inOrder = [...all.filter((each) => !isLong(each)), ...all.filter(isLong)];
    this.values.replaceChildren(make("dl", {}, ...inOrder.flatMap(line)));
  }

  // Swaps to another picture once it is decoded, so that nothing flickers between.
  async load(url, alt, kind) {
    Object.assign(this.frame, { role: "img", ariaLabel: alt });
    if (this.wanted === url) return this.place();
    this.wanted = url;
    const fresh = make("img", { src: url, alt: "", draggable: false, className: `sl-${kind}` });
    try {
      await fresh.decode();
    } catch {
      const isLost = this.wanted === url && kind === "picture"; // a preview that is gone has a successor
      if (isLost) this.say("This picture cannot be read", "The file is gone or damaged.");
      return;
    }
    if (this.wanted !== url) return;
    if (kind !== this.kind) this.view = FIT;
    this.kind = kind;
    this.image.replaceWith(fresh);
    this.image = fresh;
    this.size = [fresh.naturalWidth, fresh.naturalHeight];
    this.words.hidden = true;
    this.place();
  }

  frameSize() { return [this.frame.clientWidth, this.frame.clientHeight].map(devicePx); }

  place() {
    if (!this.size) return;
    inPlace(this.image, this.frame, this.view, this.size);
    press(this.zooms, this.view.zoom ? "1" : "0");
    this.frame.classList.toggle("sl-moves", this.view.zoom > 0);
  }

  drawJob() {
    const failed = this.jobs.find(({ state }) => state === "failed");
    const job = this.making ?? failed;
    this.job.hidden = !job;
    if (!job) return;
    const words = progressOf(job, this.live);
    this.bar.style.transform = `scaleX(${words.share})`;
    this.bar.parentNode.hidden = !this.making;
    this.told.textContent = words.text;
    this.told.title = words.text;
    this.button.textContent = this.making ? "Cancel" : "Try again";
    this.button.disabled = job.wish === "cancel";
    this.button.onclick = () => this.steer(this.making ? "cancel" : "retry", job);
  }

  async steer(how, job) {
    this.button.disabled = true;
    try {
      await this.options.source[how](job);
    } catch (error) {
      this.problem.textContent = error.message;
    }
    if (how === "retry") this.isFollowing = true;
    this.news.poll();
  }

  drawStrip() {
    const names = this.pictures.map(nameOf);
    for (const [name, tile] of this.tiles) {
      if (names.includes(name)) continue;
      tile.remove();
      this.tiles.delete(name);
    }
    for (const [at, picture] of this.pictures.entries()) {
      const name = names[at], tile = this.tiles.get(name) ?? this.tileOf(picture);
      this.tiles.set(name, tile);
      if (this.strip.children[at] !== tile) this.strip.insertBefore(tile, this.strip.children[at] ?? null);
      this.markTile(name, tile);
    }
    this.strip.hidden = !names.length;
  }

  tileOf(picture) {
    const values = new Map(picture.values), said = values.get("light") ?? values.get("prompt") ?? "";
    const image = make("img", { src: picture.thumb, alt: "", draggable: false, loading: "lazy" });
    const seed = `seed ${values.get("seed")}`, title = `${said.slice(0, 160)}\n${seed}`;
    const tile = make("button", { type: "button", className: "sl-tile", role: "option", title,
      ariaLabel: `${said.slice(0, 80)}, ${seed}` }, image);
    tile.style.aspectRatio = `${picture.width} / ${picture.height}`;
    tile.onclick = () => this.choose(nameOf(picture));
    tile.ondblclick = () => this.act(this.options.actions[0]?.[0]);
    return tile;
  }

  markTile(name, tile) {
    const isChosen = name === this.chosen && !this.isLive;
    tile.ariaSelected = String(isChosen);
    tile.tabIndex = name === this.chosen ? 0 : -1;
  }
}

export function mount(element, options) { return new Making(element, options); }
