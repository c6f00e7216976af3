// A scale for one measure over a run: its ends, its levels, its colours, numbers as text. Knows nothing about cells.
// The colours go from blue to yellow and grow lighter all the way, as cividis does (Nunez, Anderton, Renslow 2018):
// they are told apart with any kind of colour vision and in grey. The darkest has 3:1 against the page's ground.

const STOPS = [[65, 105, 177], [115, 135, 164], [163, 164, 142], [211, 195, 102], [255, 229, 74]];
const TRIMMED_FROM = 20; // with so many pictures, a share of them at either end may lie beyond the scale
const TRIMMED = 0.02;
const LEVELS = 4;
const LEAST = 0.1; // of the range of photographs: less is within the noise of measuring, and must not look like a change
const ROUND = [1, 2, 5, 10];

// `values` are numbers, at least one, `photographs` {low, high}, by which a scale is never too fine; answers
// {low, high, isTrimmed: [at the low end, at the high end], levels}.
export function scaleOf(values, photographs = { low: 0, high: 0 }) {
  const sorted = [...values].sort((a, b) => a - b);
  const cut = sorted.length < TRIMMED_FROM ? 0 : Math.floor(TRIMMED * sorted.length);
  const ends = [sorted[cut], sorted.at(-1 - cut)];
  const isTrimmed = [sorted[0] < ends[0], sorted.at(-1) > ends[1]];
  const missing = Math.max(0, LEAST * (photographs.high - photographs.low) - (ends[1] - ends[0]));
  const [low, high] = [ends[0] - missing / 2, ends[1] + missing / 2];
  return { low, high, isTrimmed, levels: levelsOf(low, high) };
}

// Round numbers between the ends, three to six of them.
function levelsOf(low, high) {
  const wide = (high - low) / LEVELS;
  if (!(wide > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(wide));
  const step = power * ROUND.find((each) => each * power >= wide * 0.999);
  const first = Math.ceil(low / step), last = Math.floor(high / step);
  return Array.from({ length: last - first + 1 }, (_, at) => Number(((first + at) * step).toPrecision(12)))
    .filter((level) => level > low && level < high);
}

export function shareOf({ low, high }, value) {
  return high > low ? Math.max(0, Math.min(1, (value - low) / (high - low))) : 0.5;
}

export function colourOf(share) {
  const at = Math.min(STOPS.length - 2, Math.floor(share * (STOPS.length - 1)));
  const between = share * (STOPS.length - 1) - at;
  return `rgb(${STOPS[at].map((from, i) => Math.round(from + (STOPS[at + 1][i] - from) * between)).join(" ")})`;
}

export const GRADIENT = `linear-gradient(to right, ${STOPS.map((_, at) => colourOf(at / (STOPS.length - 1))).join()})`;

export function numberText(value) {
  const text = Math.abs(value) < 9.995 ? value.toFixed(2) : value.toFixed(1);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

// As few decimals as tell the number: for levels and ends that people wrote.
export function shortText(value) { return String(Number(value.toPrecision(3))).replace("-", "−"); }

// `skin_to_eyes` as it is said.
export function wordsOf(name) { return name.replaceAll("_", " "); }
