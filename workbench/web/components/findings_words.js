// What stands in findings, as words. Knows nothing about elements.

import { numberText, wordsOf } from "./overlay_scale.js";

export const STATES = { found: "Found", open: "Open", none: "No finding" };
export const COUNTED = { found: "found", open: "open", none: "without a finding" };
export const KINDS = {
  "guidance-window": "Guidance window", "step-plateau": "Step plateau", scheduler: "Schedulers", engine: "Engines",
};
export const ROLES = {
  best: "best", mud: "edge of mud", plastic: "edge of plastic", plateau: "plateau", engraved: "engraved",
  a: "A", b: "B",
};
const STATE_TITLES = {
  found: "Both ends were reached, over enough seeds", open: "One end was not reached; what was seen holds",
  none: "The measures do not say; the cells that would settle it are named",
};

export function stateTitle(state) { return STATE_TITLES[state]; }

export function count(number, one) { return `${number} ${one}${number === 1 ? "" : "s"}`; }

// A comparison of engines is about both.
export function checkpointsOf({ kind, checkpoint, between }) {
  return kind === "engine" && between.length ? between : [checkpoint];
}

export function aboutOf(finding) {
  return [checkpointsOf(finding).join(" and "), ...finding.held.map((pair) => pair.join(" "))].join(" · ");
}

// "−20 % (−30 to −9)" of a measure that is compared as a ratio, "+0.11 share (+0.04 to +0.19)" of one by difference.
export function effectOf({ value, low, high, n }, { unit = "", compared = "difference" } = {}) {
  const signed = compared === "ratio" ? (log2) => percent(2 ** log2 - 1) : (each) => sign(numberText(each));
  const ending = compared === "ratio" ? " %" : unit && ` ${unit}`;
  return `${signed(value)}${ending} (${signed(low)} to ${signed(high)}), n ${n}`;
}

function percent(share) { return sign(String(Math.round(100 * share)).replace("-", "−")); }

function sign(text) { return text.startsWith("−") || Number(text) === 0 ? text : `+${text}`; }

// "guidance 5, 5.5, 6 × seed 7, 8"
export function valuesOf({ values }) {
  return values.map(([name, list]) => `${wordsOf(name)} ${list.map(String).join(", ")}`).join(" × ");
}

// One line for all of them. What is said while pictures are measured may change.
export function headline(findings, { isMeasuring }) {
  if (!findings.length) return isMeasuring ? "" : "nothing to find in what was varied";
  const said = findings.map(({ state, kind, sentence }) =>
    (state === "none" ? `${KINDS[kind]}: no finding.` : sentence)).join("  ");
  return isMeasuring ? `So far: ${said}` : said;
}
