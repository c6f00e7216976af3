// The whole queue as a table that is worked by mouse or keys. Knows nothing about routes, or about when to ask again.
// A module; `mount(element, {source, onOpen})`. What `source` answers: `queue()` {jobs, worker, idle_minutes,
// warnings}, `wish(id, wish)` the changed job, `stop()` {said, paused}, `log()` text. Whoever mounts it calls
// `refresh()`.

import { make } from "./element.js";
import { keysHelp } from "./keys_help.js";
import { Row } from "./queue_row.js";
import { clock, countOf, stateOf } from "./queue_words.js";

const ENDED = ["done", "failed", "cancelled"];
const SHOWN_ENDED = 8;
const LOG_EVERY_MS = 3000;
const GIVEN = "The memory is given back. What ran and waited is paused until it is resumed.";
const QUEUE_KEYS = [
  ["↑ ↓", "walk the jobs; Home and End: the first, the last"],
  ["Enter", "open the run"],
  ["p", "pause, resume"],
  ["a", "pause after this cell"],
  ["x", "cancel: whole pictures stay, and Retry brings it back"],
  ["t u d", "to the top, one place up, one place down"],
  ["r", "retry: make what is missing or has failed"],
  ["?", "this list"],
];
const WISHES = { p: ["pause", "resume"], a: ["after this cell"], x: ["cancel"], t: ["top"], u: ["up"], d: ["down"],
  r: ["retry"] };

class QueuePanel {
  constructor(element, { source, onOpen = () => {} }) {
    Object.assign(this, { source, onOpen });
    this.rows = new Map(); // by job number
    this.answer = { jobs: [], worker: null, idle_minutes: 5, warnings: [] };
    this.current = 0; // number of the job that was walked to
    this.asked = 0; // counts looks at the queue
    this.shown = 0; // the last look that may not be drawn any more: a later one was, or something was wished since
    this.stop = null; // what was said when the memory was given back
    this.build(element);
    this.table.addEventListener("keydown", (event) => this.onKey(event));
    this.table.addEventListener("focusin", (event) => this.makeCurrent(rowOf(event.target)));
  }

  // ---- once

  build(element) {
    this.worker = make("span", { className: "sl-queue-worker" });
    this.giveBack = make("button", {
      type: "button", text: "Give memory back", onclick: () => this.giveMemoryBack(),
      title: "End the worker now, so that other programs can have the GPU; what runs and waits is paused",
    });
    this.resumeAll = make("button", { type: "button", text: "Resume all", hidden: true, onclick: () => this.resume() });
    this.help = keysHelp(QUEUE_KEYS);
    const help = make("button", { type: "button", text: "?", title: "All keys", ariaLabel: "All keys of the queue" });
    help.onclick = () => this.help.showModal();
    const tools = make("div", { className: "sl-tools" }, make("h2", { text: "Queue" }), this.worker,
      this.resumeAll, this.giveBack, help);
    this.problem = make("div", { className: "sl-queue-said sl-problem", role: "alert", hidden: true });
    this.said = make("div", { className: "sl-queue-said", role: "status", hidden: true });
    this.table = make("div", { className: "sl-jobs", role: "grid", ariaLabel: "Queue" });
    this.empty = make("div", { className: "sl-empty", hidden: true }, make("b", { text: "Nothing is queued" }),
      "Make a picture in Create, or start a sweep in Sweep. It appears here, and it goes on when this page is closed.");
    this.more = make("button", { type: "button", hidden: true, onclick: () => { this.isAll = true; this.draw(); } });
    this.log = make("pre", { tabIndex: 0, ariaLabel: "Worker's log" });
    this.logBox = make("details", { ontoggle: () => this.readLog() },
      make("summary", { text: "Worker's log" }), this.log);
    this.spoken = make("span", { className: "sl-spoken", ariaLive: "polite" });
    this.root = make("div", { className: "sidelight sl-queue" }, tools, this.problem, this.said,
      make("div", { className: "sl-queue-area" }, this.table, this.empty, this.more, this.logBox), this.spoken,
      this.help);
    element.replaceChildren(this.root);
  }

  // ---- asking

  // Asks for the queue and draws what changed; true if a job runs or is about to. Never raises.
  async refresh() {
    const asked = ++this.asked;
    try {
      const answer = await this.source.queue();
      if (asked > this.shown) this.show(answer);
      this.shown = Math.max(asked, this.shown);
      this.say(this.problem, "");
    } catch (error) {
      this.say(this.problem, `No news of the queue: ${error.message}. Asking again.`);
    }
    await this.readLog(LOG_EVERY_MS);
    return this.answer.jobs.some(({ state }) => state === "running" || state === "waiting");
  }

  async wish(id, wish) {
    const row = this.rows.get(id);
    if (!row || row.isAsking) return;
    row.isAsking = true;
    try {
      const job = await this.source.wish(id, wish);
      row.problem = "";
      this.take(job);
    } catch (error) {
      row.fail(error.message);
    }
    row.isAsking = false;
    this.shown = this.asked;
    await this.refresh();
  }

  async giveMemoryBack() {
    try {
      this.stop = await this.source.stop();
      this.say(this.said, sentence(this.stop.said));
    } catch (error) {
      this.say(this.said, sentence(error.message));
    }
    this.shown = this.asked;
    await this.refresh();
  }

  async resume() {
    const paused = this.answer.jobs.filter(({ state }) => state === "paused");
    for (const { id } of paused) await this.wish(id, "resume");
  }

  async readLog(leastMs = 0) {
    const now = performance.now();
    if (!this.logBox.open || now - (this.logAt ?? -Infinity) < leastMs) return;
    this.logAt = now;
    const isAtEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 4;
    const text = await this.source.log().catch((error) => `The log cannot be read: ${error.message}`);
    const shown = text.trim() ? text : "Nothing is in it: no worker has run yet.";
    if (this.log.textContent === shown) return;
    this.log.textContent = shown;
    if (isAtEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  // ---- drawing

  show(answer) {
    this.speak(answer.jobs);
    this.answer = answer;
    this.draw();
  }

  take(job) {
    this.show({ ...this.answer, jobs: this.answer.jobs.map((each) => (each.id === job.id ? job : each)) });
  }

  draw() {
    const { jobs } = this.answer;
    const ended = jobs.filter(({ state }) => ENDED.includes(state));
    const hidden = new Set(this.isAll ? [] : ended.slice(SHOWN_ENDED).map(({ id }) => id));
    this.place(jobs.filter(({ id }) => !hidden.has(id)));
    this.more.hidden = !hidden.size;
    this.more.textContent = `Show ${hidden.size} more that ended`;
    this.empty.hidden = jobs.length > 0;
    this.resumeAll.hidden = jobs.filter(({ state }) => state === "paused").length < 2;
    this.drawWorker();
  }

  // Puts the rows in order and moves no element that is in its place; the focus stays with its job.
  place(jobs) {
    const held = this.table.contains(document.activeElement) ? document.activeElement : null;
    const at = [...this.rows.keys()].indexOf(this.current);
    const rows = jobs.map((job) => this.row(job));
    for (const [id, row] of this.rows) if (!rows.includes(row)) row.element.remove();
    let next = this.table.firstElementChild;
    for (const { element } of rows) {
      if (element === next) next = next.nextElementSibling;
      else this.table.insertBefore(element, next);
    }
    this.rows = new Map(rows.map((row) => [row.job.id, row]));
    if (!this.rows.has(this.current)) this.makeCurrent(rows[Math.max(0, Math.min(at, rows.length - 1))]?.element);
    if (held && !this.table.contains(document.activeElement)) (held.isConnected ? held : this.element())?.focus();
  }

  row(job) {
    const known = this.rows.get(job.id);
    if (known) {
      known.show(job);
      return known;
    }
    const row = new Row(job, { wished: (wish) => this.wish(job.id, wish), opened: () => this.open(row) });
    return row;
  }

  element() { return this.rows.get(this.current)?.element; }

  drawWorker() {
    const { worker, idle_minutes: idle, warnings } = this.answer;
    const since = worker?.pid ? ` since ${clock(worker.since)}` : "";
    const words = worker?.pid ? `works${since}, gives its memory back after ${idle} idle minutes` : "is starting";
    setText(this.worker, worker ? `Worker: ${words}` : "No worker: one starts with the next job");
    this.worker.title = this.worker.textContent;
    this.giveBack.hidden = !worker?.pid;
    if (!this.stop) {
      this.say(this.said, warnings.map(sentence).join(" "));
      return;
    }
    const isHeld = this.answer.jobs.some(({ id, state, wish }) =>
      this.stop.paused.includes(id) && (state === "paused" || wish === "pause"));
    if (!isHeld && !worker) this.stop = null;
    else if (!worker) this.say(this.said, GIVEN);
  }

  say(line, text) {
    setText(line, text);
    line.hidden = !text;
  }

  speak(jobs) {
    const before = new Map(this.answer.jobs.map((job) => [job.id, job.state]));
    const changed = jobs.filter(({ id, state }) => before.has(id) && before.get(id) !== state);
    const words = changed.map((job) => [job.name, stateOf(job), countOf(job)].filter(Boolean).join(", "));
    if (words.length) this.spoken.textContent = words.join("; ");
  }

  // ---- walking

  makeCurrent(element) {
    if (!element) return;
    this.current = Number(element.dataset.job);
    for (const row of this.rows.values()) {
      const isCurrent = row.element === element;
      if (row.isCurrent !== isCurrent) row.makeCurrent(isCurrent);
    }
  }

  open({ job }) {
    if (job.run) this.onOpen(job.run);
  }

  walk(row, step) {
    const all = [...this.rows.values()];
    const at = Math.max(0, Math.min(all.indexOf(row) + step, all.length - 1));
    all[at].element.focus();
  }

  onKey(event) {
    const row = this.rows.get(Number(rowOf(event.target)?.dataset.job));
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const isButton = event.target !== row.element;
    const moves = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity };
    const { key } = event;
    if (key in moves) this.walk(row, moves[key]);
    else if (key === "Enter" && !isButton) this.open(row);
    else if (key === "?") this.help.showModal();
    else if (Object.hasOwn(WISHES, key) && !event.repeat) this.wishByKey(row, WISHES[key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  wishByKey(row, wishes) {
    const wish = wishes.find((each) => row.job.can.includes(each));
    if (wish) this.wish(row.job.id, wish);
  }
}

function rowOf(element) { return element.closest(".sl-job"); }

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function sentence(text) { return text ? `${text[0].toUpperCase()}${text.slice(1)}.` : ""; }

export function mount(element, options) { return new QueuePanel(element, options); }
