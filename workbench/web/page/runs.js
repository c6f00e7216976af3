// The Runs tab: the list, and below it the report of the selected run, over the page's routes.
// Knows nothing about the queue beside it.

import { make } from "../components/element.js";
import "../components/report.js";
import "../components/shelf.js";
import { ExportPanel } from "../components/shelf_export.js";
import { findingsPanel } from "./findings_panel.js";

const SETTLED_MS = 400; // the other tabs open a run when the walking through the list has come to rest
const page = window.Sidelight;
const of = (run) => encodeURIComponent(run);

// A job says more of a run than its folder does.
async function rows() {
  const queued = page.json("/api/queue").catch(() => ({ jobs: [] })); // the list is there without it
  const [{ runs }, queue] = await Promise.all([page.json("/api/runs"), queued]);
  const jobs = new Map(queue.jobs.filter(({ run, ended }) => run && !ended).map(({ run, state }) => [run, state]));
  return runs.map((row) => ({ ...row, job: jobs.get(row.run) ?? "" }));
}

async function strip(run) {
  return (await page.json(`/api/runs/${of(run)}/strip`)).thumbs;
}

async function fetchZip(run, query, signal) {
  const answer = await fetch(`/api/runs/${of(run)}/export.zip?${new URLSearchParams(query)}`, { signal });
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer.blob();
}

function commandOf(row, query) {
  const quoted = /^[\w.-]+$/.test(row.run) ? row.run : `'${row.run.replaceAll("'", "'\\''")}'`;
  const flags = Object.entries(query).map(([name, value]) => (name === "picked" ? " --picked" : ` --${name} ${value}`));
  return `sidelight runs export ${quoted}${flags.join("")}`;
}

function isLeft({ progress: { cells, done, failed } }) { return !cells || done + failed < cells; }

class RunsTab {
  constructor(element) {
    this.list = make("div", { className: "sl-runs-list" });
    this.below = make("div", { className: "sl-runs-report", hidden: true });
    this.panel = new ExportPanel({ count: (run) => page.json(`/api/runs/${of(run)}/export`), fetchZip, commandOf });
    this.root = make("div", { className: "sidelight sl-runs-tab" }, this.list, this.below, this.panel.dialog);
    element.replaceChildren(this.root);
    this.report = window.SidelightReport.mount(this.below, {
      source: (run) => page.json(`/api/runs/${of(run)}/report`),
      onOpen: (row, tab, keys) => page.open(row.run, { cells: keys, tab }),
      onWish: (row, wish) => this.wish(row, wish),
      onExport: (row) => this.panel.open(row),
      onTrash: () => this.shelf.putAway(),
      onClose: () => this.close(),
      findings: findingsPanel,
    });
    this.shelf = window.SidelightShelf.mount(this.list, {
      source: { runs: rows, strip, trash: () => page.json("/api/trash") },
      scope: this.root,
      onSelect: (row) => this.show(row),
      onOpen: (row, tab) => page.open(row.run, { tab }),
      onResume: (row) => this.wish(row, isLeft(row) ? "resume" : "retry"),
      onExport: (row) => this.panel.open(row),
      onTrash: (row) => this.putAway(row),
      onRestore: (id) => this.restore(id),
      onEmpty: (ids) => this.empty(ids),
    });
    page.onRun(({ run }) => this.shelf.select(run));
  }

  show(row) {
    this.below.hidden = !row;
    if (!row) return;
    this.report.show(row);
    clearTimeout(this.soon);
    this.soon = setTimeout(() => { if (!row.fault && row.run !== page.run) page.open(row.run); }, SETTLED_MS);
  }

  close() {
    this.shelf.select("");
    this.shelf.focus();
  }

  async wish(row, wish) {
    const job = await page.json(`/api/queue/run/${of(row.run)}`, { method: "POST", body: { wish } });
    page.say(job.state === "running" ? `${row.name} runs` : `${row.name} is in the queue as job ${job.id}`);
    await this.shelf.refresh();
  }

  async putAway(row) {
    const { trashed } = await page.json(`/api/runs/${of(row.run)}/trash`, { method: "POST" });
    page.say(`${row.name} is in the trash.`, { label: "Undo", action: () => this.undo(trashed) });
  }

  async undo(id) {
    try {
      await this.restore(id);
      if (document.activeElement === document.body) this.shelf.focus(); // the button that had it is gone
    } catch (error) {
      page.say(error.message);
    }
  }

  async restore(id) {
    const { run } = await page.json(`/api/trash/${of(id)}/restore`, { method: "POST" });
    await this.shelf.refresh();
    this.shelf.select(run);
  }

  async empty(ids) {
    await page.json("/api/trash/empty", { method: "POST", body: { ids } });
    await this.shelf.refresh();
  }
}

export function mount(element) { new RunsTab(element); }
