// Jobs of the queue in words, for the queue and the pill alike. Knows nothing about elements or about the server.

export const FINISHING = "measuring, then the report"; // every picture is whole, and the job still runs
const STATES = {
  waiting: "waits", running: "runs", paused: "paused", done: "done", failed: "failed", cancelled: "cancelled",
};
const WISHED = { pause: "is pausing", "after this cell": "is pausing", cancel: "is cancelling" };
const MEANT = {
  pause: "pauses at the next step; what is half made is made again later",
  "after this cell": "pauses when the next picture is whole",
  cancel: "is cancelled at the next step; whole pictures stay, and Retry brings it back",
};
const PARTS = [["d", 86_400, "h", 3600], ["h", 3600, "min", 60], ["min", 60, "s", 1]];

export function stateOf(job) {
  return WISHED[job.wish] ?? STATES[job.state];
}

// "312 of 320"; empty as long as nobody has counted the cells.
export function countOf(job) {
  return job.cells ? `${job.done} of ${job.cells}` : "";
}

export function leftOf(job) {
  if (job.state === "running" && job.cells && job.done + job.failed >= job.cells) return FINISHING;
  const isKnown = job.state === "running" && job.seconds_left !== null;
  return isKnown ? `${duration(job.seconds_left)} left` : "";
}

export function shareOf(job) {
  return job.cells ? Math.min(1, job.done / job.cells) : 0;
}

// What is to be known of a job beyond its numbers; an empty text if nothing is.
export function noteOf(job) {
  if (job.wish) return MEANT[job.wish];
  if (job.state !== "cancelled") return job.error;
  return job.can.includes("retry") ? "whole pictures stay; Retry makes the rest" : "";
}

export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  const [large, size, small, part] = PARTS.find(([, least]) => whole >= least) ?? ["s", 1, "", 0];
  const rest = part ? Math.floor((whole % size) / part) : 0;
  return rest ? `${Math.floor(whole / size)} ${large} ${rest} ${small}` : `${Math.floor(whole / size)} ${large}`;
}

// A UTC label of the server as this place's time: "19:02", with the day if it is not today's.
export function clock(label, now = new Date()) {
  const when = new Date(`${label.replace(" UTC", "").replace(" ", "T")}Z`);
  if (Number.isNaN(when.getTime())) return label;
  const time = when.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (when.toDateString() === now.toDateString()) return time;
  return `${when.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}
