// What stands above a pane (letter, name and scale), and in it where there is no picture. Knows nothing about keys.

import { LETTERS } from "./cell.js";
import { words } from "./pane.js";

// Answers [letter, picture, scale] for layer `shown` of a viewer; the layer behind the last picture is the difference.
export function labelOf(viewer, shown, isSlider) {
  const { pictures, against, difference } = viewer, letter = LETTERS[against];
  const isPicture = shown < pictures.length, at = isPicture ? shown : 0;
  const scale = viewer.isReady(at) ? `${Math.round(viewer.scaleFor(at) * 100)} %` : "";
  const [first, other] = [pictures[0], pictures[against]].map((each) => each?.spec.name);
  if (isSlider) return [`A | ${letter}`, { name: `${first}  |  ${other}` }, scale];
  if (isPicture) return [LETTERS[shown], pictures[shown].spec, scale];
  if (!difference) return [`A − ${letter}`, {}, ""];
  const { most, mean, share } = difference;
  const told = `largest ${most} of 255, mean ${mean.toFixed(2)}, ${(100 * share).toFixed(1)} % of pixels`;
  return [`A − ${letter}`, { name: most ? told : "not one pixel differs" }, scale];
}

export function wordsFor({ spec, isDamaged }) {
  if (spec.url && !isDamaged) return null;
  if (isDamaged) return words("picture cannot be read", spec.url);
  return words(spec.state ?? "no picture", spec.reason ?? "");
}
