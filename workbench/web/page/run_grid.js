// The grid of the run that the page has open: its cells, what is being made, its marks, places, measures and findings.
// Knows nothing about tabs: what is selected and opened is told to whoever mounts it, and to the page's bus.
// `runGrid(element, options)` answers {grid, off}: `grid()` is the SidelightGrid of now (null while no run is open).

import "../components/grid.js";
import { make } from "../components/element.js";
import "./page.js";
import { known, measure } from "./run_findings.js";

const KEPT = "sidelight.overlay";
const CELLS_SECONDS = 1;
const MARKS_SECONDS = 5;
const KNOWN_SECONDS = 3;
const DEFAULTS = {
  onRun() {}, // (run) another run was opened
  onGrid() {}, // (answer of /grid or /cells) {title, progress, ...}
  onLive() {}, // (answer of /live) {is_running, job, ...}
  onSelect() {}, // (cells A to D)
  onOpen() {}, // (cell)
  onKnown() {}, // ({measures, findings}) what is known of the run, see run_findings.js
  emptyTitle: "No run is open",
  emptyText: "Start a sweep, or open one under Runs: its pictures appear here while they are made.",
  emptyAction: null, // [text of a button, what it does]
};

export function runGrid(element, options = {}) {
  const told = { ...DEFAULTS, ...options };
  let shown = null;
  const close = () => { shown?.close(); shown = null; };
  const showNothing = () => {
    close();
    const words = make("div", { className: "sl-empty" }, make("b", { text: told.emptyTitle }),
      make("span", { text: told.emptyText }));
    if (told.emptyAction) {
      const [text, onclick] = told.emptyAction;
      words.append(make("br"), make("button", { type: "button", text, onclick }));
    }
    element.replaceChildren(make("div", { className: "sidelight sl-grid" }, words));
  };
  showNothing();
  const off = window.Sidelight.onRun(({ run, cells }) => {
    if (!run) return showNothing();
    if (shown?.run !== run) {
      close();
      shown = new Shown(element, run, told);
      told.onRun(run);
    }
    shown.grid.setSelected(cells);
  });
  return {
    grid: () => shown?.grid ?? null,
    off: () => { off(); close(); },
  };
}

// One run in a grid, until another is opened.
class Shown {
  constructor(element, run, told) {
    Object.assign(this, { run, told, name: encodeURIComponent(run) });
    this.grid = window.SidelightGrid.mount(element, {
      source: {
        grid: () => this.json("runs", "/grid"),
        changes: (after, edition) => this.json("runs", `/cells?${new URLSearchParams({ after, edition })}`),
      },
      seconds: CELLS_SECONDS,
      onGrid: told.onGrid,
      onSelect: (cells) => {
        window.Sidelight.open(run, { cells: cells.map(({ key }) => key) });
        told.onSelect(cells);
      },
      onOpen: told.onOpen,
      onMark: (key, change) => this.mark(key, change),
      onRetry: () => this.retry(),
      onMeasure: () => measure(run).then(() => this.askKnown()),
      overlay: JSON.parse(sessionStorage.getItem(KEPT) ?? "{}"),
      onOverlay: (overlay) => sessionStorage.setItem(KEPT, JSON.stringify(overlay)),
      emptyTitle: "This run holds no pictures",
      emptyText: "Its sweep names no cell that can be shown; open another one under Runs.",
    });
    // When the server is gone, the grid itself says so.
    const poll = (ask, seconds) => window.Sidelight.poll(element, () => ask.call(this).catch(() => null), seconds);
    this.polls = [
      poll(this.askLive, CELLS_SECONDS), poll(this.askMarks, MARKS_SECONDS), poll(this.askPlaces, MARKS_SECONDS),
      poll(this.askKnown, KNOWN_SECONDS),
    ];
  }

  close() {
    this.isClosed = true;
    for (const end of this.polls) end();
    this.grid.destroy();
  }

  json(kind, rest = "", more = {}) {
    return window.Sidelight.json(`/api/${kind}/${this.name}${rest}`, more);
  }

  async askLive() {
    const live = await this.json("runs", "/live");
    if (this.isClosed) return;
    this.grid.setLive(live);
    this.told.onLive(live);
  }

  async askMarks() {
    const marks = await this.json("marks");
    if (!this.isClosed) this.grid.setMarks(marks);
  }

  async askPlaces() {
    const places = await this.json("places");
    if (!this.isClosed) this.grid.setSpots(places);
  }

  async askKnown() {
    const told = await known(this.run);
    if (this.isClosed) return;
    this.grid.setMeasures(told.measures);
    this.grid.setFindings(told.findings?.findings.findings ?? []);
    this.told.onKnown(told);
  }

  async mark(key, change) {
    const { [key]: kept } = await this.json("marks", "", { method: "POST", body: { key, ...change } });
    return kept;
  }

  async retry() {
    try {
      await this.json("queue/run", "", { method: "POST", body: { wish: "retry" } });
      window.Sidelight.say("The failed cells of this run are made again.");
    } catch (error) {
      window.Sidelight.say(error.message);
    }
  }
}
