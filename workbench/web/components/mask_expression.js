// The words of a mask, as `face1.skin - face1.eyes; feather 0.06`: which regions are in them, and one more or less.
// Knows nothing about pixels. What is not plain (parentheses, painted files) is kept as it is, and added to.

const TERM = /\s*([+-]?)\s*((?:face\d+|faces)\.(?:left-cheek|right-cheek|[a-z]+))\s*/y;

// {terms: [[sign, name]], tail: what stands from the first ";" on}; terms null where the words are not plain.
function parted(text) {
  const at = text.indexOf(";"), head = at < 0 ? text : text.slice(0, at), tail = at < 0 ? "" : text.slice(at);
  const terms = [];
  TERM.lastIndex = 0;
  while (TERM.lastIndex < head.trimEnd().length) {
    const found = TERM.exec(head);
    if (!found || (terms.length > 0) !== Boolean(found[1])) return { terms: null, head: head.trim(), tail };
    terms.push([found[1] || "+", found[2]]);
  }
  return { terms, head: head.trim(), tail };
}

function written(terms, tail) {
  const first = terms.findIndex(([sign]) => sign === "+");
  if (first < 0) return "";
  const ordered = [terms[first], ...terms.filter((_, at) => at !== first)];
  return ordered.map(([sign, name], at) => (at ? `${sign} ${name}` : name)).join(" ") + tail;
}

// "+", "-" or "" where the words do not have the region.
export function signOf(text, name) {
  return parted(text).terms?.find(([, each]) => each === name)?.[0] ?? "";
}

// The words with the region in (+) or taken away (-); once more the same: without it.
export function turned(text, name, sign) {
  const { terms, head, tail } = parted(text);
  if (!terms) return `${head} ${sign} ${name}${tail}`;
  const others = terms.filter(([, each]) => each !== name);
  return written(signOf(text, name) === sign ? others : [...others, [sign, name]], tail);
}
