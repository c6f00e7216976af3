// One finding: its state, its sentence, what speaks for and against it, curves, pictures, what would settle it.
// Knows nothing about routes or other findings.

import { frame } from "./crop.js";
import { make } from "./element.js";
import { chartOf, forestOf } from "./findings_chart.js";
import { KINDS, ROLES, STATES, aboutOf, count, effectOf, stateTitle, valuesOf } from "./findings_words.js";
import { wordsOf } from "./overlay_scale.js";

const CROP_PX = 144; // as in findings.css: a panel that is folded has no size to ask for
const INTERVAL = "95 %"; // a sentence that has it says its numbers itself

// `about` {measures, pictureOf, cheek, folds}; `acts` {open(keys), advice(key) or null}.
export function cardOf(finding, about, acts) {
  const { kind, state, sentence } = finding;
  const badge = make("span", { className: `sl-state sl-state-${state}`, text: STATES[state] });
  badge.title = stateTitle(state);
  const head = make("header", {}, badge, make("h4", { text: KINDS[kind] }),
    make("span", { className: "sl-quiet", text: aboutOf(finding) }));
  const words = [head, make("p", { className: "sl-sentence", text: sentence }), evidenceOf(finding, about),
    ...foldsOf(finding, about)];
  const sides = [make("div", { className: "sl-card-words" }, ...words.filter(Boolean))];
  const seen = [picturesOf(finding, about, acts), curvesOf(finding, about, acts)].filter(Boolean);
  if (seen.length) sides.push(make("div", { className: "sl-card-seen" }, ...seen));
  return make("article", { className: `sl-finding sl-finding-${state}`, ariaLabel: KINDS[kind] }, ...sides);
}

function metaOf({ measures }, name) { return measures.find((each) => each.name === name) ?? {}; }

function evidenceOf({ evidence }, about) {
  if (!evidence.length) return null;
  const lines = evidence.map(({ measure, sentence, effect, is_for: isFor }) => {
    const { meaning = "", ...meta } = metaOf(about, measure);
    const text = make("span", { className: "sl-evidence-text" }, make("span", { text: sentence, title: meaning }));
    const told = meta.name && effect ? effectOf(effect, meta) : ""; // of what is no measure its sentence tells all
    if (told && !sentence.includes(INTERVAL)) text.append(make("small", { text: told }));
    const drawn = effect ? make("span", { title: told }, forestOf(effect)) : make("span");
    return make("li", {}, make("b", { text: sideOf(isFor, effect) }), drawn, text);
  });
  return make("ul", { className: "sl-evidence", ariaLabel: "Evidence" }, ...lines);
}

// What moves neither up nor down for sure speaks for nothing.
function sideOf(isFor, effect) {
  if (isFor) return "for";
  return effect && effect.low <= 0 && effect.high >= 0 ? "neither" : "against";
}

function curvesOf(finding, about, acts) {
  const { curves, state, low, high, kind } = finding;
  if (!curves.length) return null;
  const hasReach = ["guidance-window", "step-plateau"].includes(kind) && state !== "none" && (low ?? high) !== null;
  const charts = curves.filter(({ points }) => points.length).map((curve) => {
    const { unit = "", meaning = "" } = metaOf(about, curve.measure);
    const title = make("figcaption", { title: meaning }, make("b", { text: wordsOf(curve.measure) }),
      make("span", { text: ` ${unit}` }), make("span", { className: "sl-axis", text: `${wordsOf(curve.axis)} →` }));
    return make("figure", {}, title, chartOf(curve,
      { unit, reach: hasReach ? { low, high } : null, isOpen: state === "open", pick: acts.open }));
  });
  return make("div", { className: "sl-curves" }, ...charts);
}

function picturesOf({ pictures }, about, acts) {
  if (!pictures.length) return null;
  return make("div", { className: "sl-shown" }, ...pictures.map((shown) => figureOf(shown, about, acts)));
}

// The cheek at one picture pixel for one of the screen; the whole where nobody knows where the cheek is.
function figureOf({ role, key, words }, { pictureOf, cheek }, acts) {
  const { url, thumb } = pictureOf(key);
  const image = make("img", { src: cheek ? url : thumb, alt: "", draggable: false, decoding: "async" });
  const open = make("button", { type: "button", className: "sl-crop", title: `${words}: open in Compare` },
    image, make("span", { className: "sl-pill", text: ROLES[role] }));
  open.ariaLabel = `${ROLES[role]}: ${words}, open in Compare`;
  open.onclick = () => acts.open([key]);
  image.onerror = () => image.replaceWith(make("span", { className: "sl-words", text: "picture cannot be read" }));
  if (cheek) image.onload = () => cutOut(image, cheek);
  const caption = make("figcaption", { text: words, title: words });
  const advice = acts.advice && make("button", { type: "button", className: "sl-small", text: "Advice",
    title: "What could be better in this picture, and how", onclick: () => acts.advice(key) });
  return make("figure", {}, open, caption, ...(advice ? [advice] : []));
}

function cutOut(image, cheek) {
  const { naturalWidth: width, naturalHeight: height } = image;
  frame(image, { width, height }, cheek, { crop: "cheek", box: { width: CROP_PX, height: CROP_PX } });
}

function foldsOf({ id, cautions, additions }, { folds }) {
  const fold = (name, summary, lines) => {
    const box = make("details", { open: folds.has(id + name) }, make("summary", { text: summary }),
      make("ul", {}, ...lines));
    box.ontoggle = () => (box.open ? folds.add(id + name) : folds.delete(id + name));
    return box;
  };
  const cells = additions.reduce((sum, each) => sum + each.count, 0);
  const asked = additions.map((each) => make("li", {}, make("b", { text: `${valuesOf(each)} ` }),
    make("span", { text: `${count(each.count, "cell")}: ${each.why}` })));
  const warned = cautions.map((text) => make("li", { text }));
  return [
    cautions.length && fold("cautions", count(cautions.length, "caution"), warned),
    cells && fold("additions", `What would settle it: ${count(cells, "more cell")}`, asked),
  ].filter(Boolean);
}
