// The list of settings that set pictures apart: differing ones, equal ones on request. Knows nothing about recipes.

import { make } from "./element.js";

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
  const cells = texts.map((text) => (text ? make("td", { text }) : none(text)));
  return make("tr", { className: isEqual ? "sl-equal" : "" }, make("th", { scope: "row", text: label }), ...cells);
}
