// Models in words: sizes, states, progress. Knows nothing about elements or about the server.

import { duration } from "./queue_words.js";

export const KINDS = { checkpoint: "checkpoint", lora: "LoRA", vae: "autoencoder", adapter: "adapter" };

export function sizeText(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  return bytes >= 1e5 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.round(bytes)} bytes`;
}

// "3.1 of 6.9 GB": the unit once where both have the same.
export function partText(bytes, ofBytes) {
  const [part, whole] = [sizeText(bytes), sizeText(ofBytes)];
  if (!bytes) return `0 of ${whole}`;
  const unit = whole.split(" ")[1];
  return part.endsWith(unit) ? `${part.split(" ")[0]} of ${whole}` : `${part} of ${whole}`;
}

export function isRunning(row) { return row.pull?.state === "running"; }

export function stateOf(row) {
  if (!isRunning(row)) return row.state;
  return row.pull.what === "check" ? "being checked" : "being downloaded";
}

export function sizeOf(row) {
  if (isRunning(row) && row.pull.of_bytes) return partText(row.pull.bytes, row.pull.of_bytes);
  if (row.of_bytes === null) return row.bytes ? `${sizeText(row.bytes)} of ?` : "";
  return row.state === "here" ? sizeText(row.of_bytes) : partText(row.bytes ?? 0, row.of_bytes);
}

export function shareOf(pull) { return pull.of_bytes ? Math.min(1, pull.bytes / pull.of_bytes) : 0; }

// "3.1 of 6.9 GB, 45.0 MB a second, 1 min 20 s left"; what it waits for where nothing comes.
export function progressText(pull) {
  if (!pull.of_bytes) return pull.note || "beginning";
  const told = [partText(pull.bytes, pull.of_bytes)];
  if (pull.bytes_per_second) told.push(`${sizeText(pull.bytes_per_second)} a second`);
  if (pull.seconds_left !== null && pull.seconds_left > 0) told.push(`${duration(pull.seconds_left)} left`);
  return told.join(", ");
}

// What a download or check that ended has to say.
export function endText(pull) {
  const what = pull.what === "check" ? "Check" : "Download";
  const ends = { done: pull.what === "check" ? "passed" : "done", failed: "failed", cancelled: "stopped" };
  const said = pull.state === "failed" ? pull.error : pull.note;
  return `${what} ${ends[pull.state]}: ${said}`;
}

export function defaultsText(row) {
  const told = Object.fromEntries(row.defaults);
  const size = told.size ?? (told.width && told.height ? `${told.width} × ${told.height}` : "");
  const parts = [size, told.steps && `${told.steps} steps`, told.guidance && `guidance ${told.guidance}`];
  return parts.filter(Boolean).join(" · ");
}
