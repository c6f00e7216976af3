// Which runs are wanted, in which order, and what they come to; words for their numbers. Knows nothing about elements.

export const STATES = [
  ["any state", "any"], ["done", "done"], ["unfinished", "unfinished"], ["failed pictures", "failed"],
  ["in the queue", "queue"], ["cannot be read", "broken"],
];
export const ORDERS = { date: "date", name: "name", stars: "rating", bytes: "size" };

const JOBS = { running: "running", waiting: "waits in the queue", paused: "paused in the queue" };

const searched = new WeakMap();
const isOf = {
  any: () => true,
  done: (row) => !row.fault && row.progress.cells > 0 && row.progress.done === row.progress.cells,
  unfinished: (row) => !row.fault && (!row.progress.cells || row.progress.done < row.progress.cells),
  failed: (row) => row.progress.failed > 0,
  queue: (row) => Boolean(row.job),
  broken: (row) => Boolean(row.fault),
};

// A picture that was made alone, as in Create, is a run of its own.
export function isSingle({ progress }) { return progress.cells === 1; }

// All words must be there, parts of words too; `since` and `until` are days, both included.
export function find(rows, { text = "", checkpoint = "", since = "", until = "", stars = 0, state = "any" }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => words.every((word) => textOf(row).includes(word))
    && (!checkpoint || row.checkpoints.includes(checkpoint))
    && (!since || row.date >= since) && (!until || (row.date && row.date <= until))
    && row.stars >= stars && isOf[state](row));
}

function textOf(row) {
  if (!searched.has(row)) {
    searched.set(row, [row.name, row.run, ...row.texts, ...row.remarks].join("\n").toLowerCase());
  }
  return searched.get(row);
}

// Rows come newest first, and equals keep that order.
export function sorted(rows, { by, isUp }) {
  if (by === "date") return isUp ? rows.toReversed() : rows;
  const sign = isUp ? 1 : -1;
  const byName = (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true });
  const order = by === "name" ? byName : (a, b) => a[by] - b[by];
  return rows.toSorted((a, b) => sign * order(a, b));
}

export function totals(rows) {
  const sum = (of) => rows.reduce((total, row) => total + of(row), 0);
  return { runs: rows.length, pictures: sum((row) => row.progress.done), bytes: sum((row) => row.bytes) };
}

export function stateOf({ fault, job, progress: { cells, done, failed, session, reason } }) {
  if (fault) return { word: "cannot be read", more: fault };
  if (job) return { word: JOBS[job], more: "" };
  if (!cells) return { word: "not begun", more: "" };
  if (done === cells) return { word: "done", more: "" };
  if (done + failed >= cells) return { word: "ended, some failed", more: "" };
  if (session === "paused") return { word: "paused by itself", more: reason };
  return { word: session === "cancelled" ? "stopped" : "unfinished", more: "" };
}

export function many(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

export function bytesText(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(bytes < 1e10 ? 1 : 0)} GB`;
}
