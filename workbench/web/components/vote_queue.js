// The pairs of a blind vote: the one that is judged, those that are fetched and decoded ahead, and votes on their way
// to the server, in order. Knows nothing about elements but images, and nothing about settings: the server tells none.

import { make } from "./element.js";

const AHEAD = 2;

export class VoteQueue {
  // `json(path, options)` asks the server; `told(problem)` hears that something is there to be shown, or went wrong.
  constructor({ run, by, among, json, told }) {
    Object.assign(this, { by, among, json, told });
    this.path = `/api/votes/${encodeURIComponent(run)}`;
    this.ready = []; // {pair, images}, the first one is judged now
    this.sent = []; // pairs whose votes are on their way
    Object.assign(this, { progress: null, isOver: false, isEnded: false, work: Promise.resolve() });
  }

  get current() { return this.ready[0] ?? null; }

  start() { return this.then(() => this.fill()); }

  // What is asked of the server goes one after the other; what fails is told, and the next thing is tried.
  then(task) {
    this.work = this.work.then(task).then(() => this.told(""), (error) => this.told(error.message));
    return this.work;
  }

  // Votes that wait go first: each of them fills after it.
  async fill() {
    while (!this.isEnded && !this.isOver && !this.sent.length && this.ready.length <= AHEAD) {
      const ahead = this.ready.map(({ pair }) => `${pair.left.key}-${pair.right.key}`);
      const asked = new URLSearchParams({ by: this.by });
      if (ahead.length) asked.set("ahead", ahead.join());
      if (this.among.length) asked.set("among", this.among.join());
      const { pair, progress } = await this.json(`${this.path}/next?${asked}`);
      this.progress = progress;
      this.isOver = !pair;
      if (pair) this.ready.push(await loaded(pair));
      this.told("");
    }
  }

  // Judges the current pair; the next one is there at once if it is decoded. A vote that is not saved comes back.
  say(said) {
    const judged = this.ready.shift();
    this.sent.push(judged);
    const { pair: { left, right, view } } = judged;
    const body = { left: left.key, right: right.key, said, view, by: this.by, among: this.among };
    return this.then(async () => {
      try {
        this.progress = (await this.json(this.path, { method: "POST", body })).progress;
      } catch (error) {
        this.ready.unshift(judged);
        throw new Error(`Not saved: ${error.message}`);
      } finally {
        this.sent = this.sent.filter((each) => each !== judged);
      }
      await this.fill();
    });
  }

  // Shows the last pair again, on the same sides.
  undo() {
    return this.then(async () => {
      const body = { by: this.by, among: this.among };
      const { pair, progress } = await this.json(`${this.path}/undo`, { method: "POST", body });
      this.progress = progress;
      if (!pair) throw new Error("There is nothing to take back.");
      this.ready.unshift(await loaded(pair));
    });
  }

  async end() {
    this.isEnded = true;
    await this.work;
  }
}

async function loaded(pair) {
  const images = await Promise.all([pair.left, pair.right].map(async ({ picture }) => {
    const image = make("img", { alt: "", draggable: false, decoding: "sync", src: picture });
    await image.decode().catch(() => { throw new Error("a picture cannot be shown; `sidelight check` says more"); });
    return image;
  }));
  return { pair, images };
}
