// What the queue does, in one line of at most 560 px: the job that runs, else what waits, is paused or has failed.
// Knows nothing about routes. A module; `mount(element, {source: {queue, wish}, onOpen(run), onMore(), onWished(job,
// wish), onProblem(text)})`; whoever mounts it calls `refresh()`.

import { make } from "./element.js";
import { countOf, leftOf, shareOf, stateOf } from "./queue_words.js";

const SPOKEN_EVERY_MS = 10_000;
const SEEN = "sidelight.failures.seen";
const KINDS = { picture: "Picture", sweep: "Run" };

class Pill {
  constructor(element, { source, onOpen = () => {}, onMore = () => {}, onWished = () => {}, onProblem = () => {} }) {
    Object.assign(this, { source, onOpen, onMore, onWished, onProblem });
    this.spokenAt = -Infinity;
    this.asked = 0; // counts looks at the queue
    this.shown = 0; // the last look that may not be drawn any more
    this.jobs = [];
    this.build(element);
  }

  build(element) {
    this.name = make("button", { type: "button", className: "sl-now-name", onclick: () => this.open() });
    this.bar = make("span", { className: "sl-now-bar", role: "progressbar", ariaLabel: "Cells done" }, make("i"));
    this.bar.ariaValueMin = "0";
    this.bar.ariaValueMax = "100";
    this.count = make("span", { className: "sl-now-count" });
    this.hold = make("button", { type: "button", onclick: () => this.wish(this.hold.value) });
    this.cancel = make("button", {
      type: "button", text: "Cancel", title: "Whole pictures stay, and Retry brings it back",
      onclick: () => this.wish("cancel"),
    });
    this.more = make("button", { type: "button", className: "sl-now-more", title: "Show the queue" });
    this.more.onclick = () => this.showMore();
    this.spoken = make("span", { className: "sl-spoken", role: "status", ariaLive: "polite" });
    this.root = make("div", { className: "sidelight sl-now", role: "group", ariaLabel: "Queue" },
      this.name, this.bar, this.count, this.hold, this.cancel, this.more, this.spoken);
    element.replaceChildren(this.root);
    this.draw();
  }

  // Asks for the queue and draws what changed; true if a job runs or is about to. Never raises.
  async refresh() {
    const asked = ++this.asked;
    try {
      const { jobs, worker } = await this.source.queue();
      if (asked > this.shown) Object.assign(this, { jobs, worker, isLost: false, shown: asked });
    } catch {
      this.isLost = true;
    }
    this.draw();
    return this.jobs.some(({ state }) => state === "running" || state === "waiting");
  }

  async wish(wish) {
    const { job } = this;
    if (!job || this.isAsking) return;
    this.isAsking = true;
    try {
      const changed = await this.source.wish(job.id, wish);
      this.jobs = this.jobs.map((each) => (each.id === changed.id ? changed : each));
      this.onWished(changed, wish);
    } catch (error) {
      this.onProblem(error.message);
    }
    this.isAsking = false;
    this.shown = this.asked;
    await this.refresh();
  }

  open() {
    if (this.job?.run) this.onOpen(this.job.run);
    else this.onMore();
  }

  showMore() {
    const failed = this.jobs.filter(hasFailed).map(nameOfFailure);
    if (!this.job && failed.length) keep(failed);
    this.draw();
    this.onMore();
  }

  // ---- drawing

  draw() {
    const inState = (state) => this.jobs.filter((job) => job.state === state);
    const [paused, waiting] = [inState("paused"), inState("waiting")];
    const isOnlyPaused = paused.length === 1 && !waiting.length;
    this.job = inState("running")[0] ?? (isOnlyPaused ? paused[0] : null);
    this.drawJob(this.job);
    setText(this.more, this.job ? others(waiting.length) : this.rest(waiting.length, paused.length));
    this.more.hidden = !this.more.textContent;
    this.speak();
  }

  drawJob(job) {
    for (const part of [this.name, this.bar, this.count]) part.hidden = !job;
    const hold = ["resume", "pause"].find((wish) => job?.can.includes(wish));
    this.hold.hidden = !hold;
    this.cancel.hidden = !job?.can.includes("cancel") || job.state !== "running";
    if (!job) return;
    setText(this.name, `${KINDS[job.kind]} ${shortName(job)}`);
    this.name.title = job.run ? `Open ${job.run}` : job.folder;
    this.bar.ariaValueNow = String(Math.floor(100 * shareOf(job)));
    this.bar.firstChild.style.transform = `scaleX(${shareOf(job)})`;
    setText(this.count, this.isLost ? "no answer, asking again" : words(job));
    if (!hold || this.hold.value === hold) return;
    this.hold.value = hold;
    this.hold.textContent = hold === "pause" ? "Pause" : "Resume";
  }

  // What there is to say when nothing runs.
  rest(waiting, paused) {
    if (waiting) return this.worker ? `${waiting} waiting` : `${waiting} waiting, the worker is starting`;
    if (paused) return `${paused} paused`;
    const seen = seenFailures();
    const failed = this.jobs.filter((job) => hasFailed(job) && !seen.includes(nameOfFailure(job)));
    this.more.title = failed.map((job) => `${job.name}: ${job.error}`).join("\n") || "Show the queue";
    return failed.length ? `${failed.length} failed` : "";
  }

  speak() {
    const text = this.job ? countOf(this.job) : this.more.textContent;
    const now = performance.now();
    if (text === this.spoken.textContent || now - this.spokenAt < SPOKEN_EVERY_MS) return;
    this.spokenAt = now;
    this.spoken.textContent = text;
  }
}

// "11-20 window light": the day tells runs of one name apart.
function shortName(job) {
  const day = job.kind === "sweep" ? job.run?.match(/^\d{4}-(\d\d-\d\d)-/)?.[1] : null;
  return day ? `${day} ${job.name}` : job.name;
}

function words(job) {
  const state = job.state === "running" && !job.wish ? leftOf(job) : stateOf(job);
  return [countOf(job), job.failed ? `${job.failed} failed` : "", state].filter(Boolean).join(" · ");
}

function others(waiting) { return waiting ? `+${waiting} waiting` : ""; }

// A failure that nobody has made good: its job is the last of its run.
function hasFailed(job) {
  return job.can.includes("retry") && (job.state === "failed" || (job.state === "done" && job.failed > 0));
}

function nameOfFailure(job) { return `${job.id} ${job.ended}`; }

function seenFailures() {
  try {
    return JSON.parse(localStorage.getItem(SEEN)) ?? [];
  } catch { // this browser keeps nothing
    return [];
  }
}

function keep(failures) {
  try {
    localStorage.setItem(SEEN, JSON.stringify(failures));
  } catch {
    return; // it is said again after a reload
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function mount(element, options) { return new Pill(element, options); }
