// The list of settings that set pictures apart: differing ones, equal ones on request. Knows nothing about recipes.

import { make } from "./element.js";

const LONG = 140; // characters; a prompt of a light template has several times as many
const MUCH = 30; // characters that are alike before what differs
const unfolded = new Set(); // labels whose long texts are shown whole

// `columns` is [letter, values] a picture, values being [label, text] pairs.
export function valuesTable(columns, isAll) {
  const labels = [...new Set(columns.flatMap(([, values]) => values.map(([label]) => label)))];
  const lines = labels.map((label) => [label, columns.map(([, values]) => new Map(values).get(label))]);
  const isEqual = ([, texts]) => texts.length > 1 && texts.every((text) => text === texts[0]);
  const equal = lines.filter(isEqual);
  const shown = isAll ? lines : lines.filter((line) => !isEqual(line));
  const head = make("tr", {}, make("th"), ...columns.map(([text]) => make("th", { scope: "col", text })));
  const rows = shown.map((line) => rowOf(line, isEqual(line)));
  const widths = make("colgroup", {}, make("col", { className: "sl-name" }), ...columns.map(() => make("col")));
  const table = make("table", {}, widths, make("thead", {}, head), make("tbody", {}, ...rows));
  return { table, shown: shown.length, equal: equal.length };
}

function rowOf([label, texts], isEqual) {
  const none = (text) => make("td", { text: text === "" ? "empty" : "–", className: "sl-none" });
  const from = isEqual ? 0 : beginningOf(texts);
  const cells = texts.map((text) => (text ? make("td", { text: shown(label, text, from) }) : none(text)));
  const name = make("th", { scope: "row", text: label });
  const row = make("tr", { className: isEqual ? "sl-equal" : "" }, name, ...cells);
  const isLong = texts.some((text) => text?.length > LONG);
  if (isLong) name.append(fold(label, () => unfoldRow(row, [label, texts], isEqual)));
  return row;
}

function unfoldRow(row, line, isEqual) {
  const [label] = line;
  if (!unfolded.delete(label)) unfolded.add(label);
  const next = rowOf(line, isEqual);
  row.replaceWith(next);
  next.querySelector("button").focus();
}

function fold(label, onclick) {
  const isOpen = unfolded.has(label);
  return make("button", { type: "button", className: "sl-fold", text: isOpen ? "Less" : "Show all", onclick,
    ariaExpanded: String(isOpen), ariaLabel: `${isOpen ? "Less" : "All"} of ${label}` });
}

// A long text is cut to where it differs.
function shown(label, text, from) {
  if (text.length <= LONG || unfolded.has(label)) return text;
  const end = from + LONG;
  return `${from ? "…" : ""}${text.slice(from, end)}${end < text.length ? "…" : ""}`;
}

// Where the word begins in which texts that are much alike first differ; 0 if they differ soon.
function beginningOf([first = "", ...others]) {
  let at = 0;
  while (at < first.length && others.every((text) => text?.[at] === first[at])) at++;
  return at < MUCH || !others.length ? 0 : first.lastIndexOf(" ", at) + 1;
}
