// The run of one repair, followed until it ends: its cells, what is made of them now, and the sidecars of what is done.
// Knows nothing about how they are shown.

import { News } from "../components/news.js";
import { source } from "./face_source.js";

const SECONDS = { busy: 0.7, idle: 4 };
const OPEN = ["waiting", "running"];
const ROOM = 0.12; // of the face on every side, so that hair and chin are seen with it

export class FaceRun {
  // `root` is seen or not; `onNews` hears every answer, `onProblem` one line, "" once it is over.
  constructor(root, { onNews, onProblem }) {
    Object.assign(this, { onNews, onProblem, run: "", cells: [], axes: [], job: null, live: null, face: null });
    this.sidecars = new Map();
    this.news = new News(root, () => this.ask(), SECONDS.idle);
  }

  // "" follows none.
  follow(run) {
    Object.assign(this, { run, cells: [], axes: [], job: null, live: null, face: null });
    this.sidecars.clear();
    this.onNews();
    this.look();
  }

  look() {
    this.news.seconds = SECONDS.busy;
    this.news.poll();
  }

  get isOpen() { return Boolean(this.run) && (!this.job || OPEN.includes(this.job.state)); }
  get first() { return this.sidecars.values().next().value; }

  async ask() {
    const { run } = this;
    if (!run || (this.isSettled && !this.isOpen)) return;
    try {
      const [grid, live] = await Promise.all([source.grid(run), source.live(run)]);
      await this.askSidecars(run, grid.cells);
      this.face ??= this.first ? (await source.places(run)).face ?? null : null;
      if (run !== this.run) return;
      Object.assign(this, { cells: grid.cells, axes: grid.axes, live, job: live.job });
      this.onProblem("");
    } catch (error) {
      if (run === this.run) this.onProblem(error.message);
    }
    if (run !== this.run) return;
    this.news.seconds = this.isOpen ? SECONDS.busy : SECONDS.idle;
    this.onNews();
  }

  async askSidecars(run, cells) {
    const fresh = cells.filter(({ key, state }) => state === "done" && !this.sidecars.has(key));
    const found = await Promise.all(fresh.map(({ key }) => source.sidecar(run, key)));
    if (run === this.run) fresh.forEach(({ key }, at) => this.sidecars.set(key, found[at]));
  }

  // After the job has ended there is no more to ask but what it left.
  get isSettled() { return this.cells.length > 0 && this.cells.every(({ state }) => state !== "waiting"); }

  labelOf({ key, place }) {
    const { axes } = this, strength = this.sidecars.get(key)?.recipe.start?.strength;
    if (!axes.length) return strength ? `strength ${strength}` : "after";
    const said = ({ name }) => (axes.length > 1 ? `${name} ` : "");
    return axes.map((axis, at) => said(axis) + axis.labels[place[at]]).join(" · ");
  }

  // What is looked at, as shares of the picture: the face, or the part that was worked on where that is smaller, as for
  // eyes; null before the first is done.
  get rectangle() {
    const { worked } = this, face = this.face && around(this.face), area = ([, , width, height]) => width * height;
    return worked && face && area(face) < area(worked) ? face : worked;
  }

  get worked() {
    const { crop } = this.first?.recipe ?? {};
    if (!crop) return null;
    const { left, top, width, height, of_width: wide, of_height: high } = crop;
    return [left / wide, top / high, width / wide, height / high];
  }

  get beforeUrl() { return this.first?.recipe.start ? source.inputUrl(this.run, this.first.recipe.start.image) : ""; }
}

export function around([x, y, width, height]) {
  const [left, top] = [Math.max(0, x - ROOM * width), Math.max(0, y - ROOM * height)];
  const [right, bottom] = [Math.min(1, x + (1 + ROOM) * width), Math.min(1, y + (1 + ROOM) * height)];
  return [left, top, right - left, bottom - top];
}
