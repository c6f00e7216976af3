// What a repair can be about, and the mask text that stands for it. Knows nothing about forms or pictures.

export const TASKS = Object.freeze({
  skin: { text: "Skin", region: "skin", grow: "", feather: "0.06", strength: "0.35, 0.4, 0.45, 0.5" },
  eyes: { text: "Eyes", region: "eyes", grow: "0.08", feather: "0.06", strength: "0.3, 0.33, 0.36, 0.4" },
  mouth: { text: "Mouth", region: "mouth", grow: "0.06", feather: "0.06", strength: "0.3, 0.33, 0.36, 0.4" },
  neck: { text: "Neck", region: "neck", grow: "", feather: "0.08", strength: "0.35, 0.4, 0.45, 0.5" },
});
export const CUSTOM = "custom";
export const ALL = "all";
const TAIL = ["grow", "feather"];

export const nameOf = (task) => TASKS[task]?.text.toLowerCase() ?? "the mask";
export const faceOf = (face) => (face === ALL ? "all faces" : `face ${face}`);

export function maskOf(task, face) {
  const { region, grow, feather } = TASKS[task];
  const regions = `${face === ALL ? "faces" : `face${face}`}.${region}`;
  return withTail(withTail(regions, "grow", grow), "feather", feather);
}

// The same mask for another face: `face1.` and `faces.` become the one that is chosen.
export function onFace(text, face) {
  return text.replace(/\bface(s|\d+)\./g, face === ALL ? "faces." : `face${face}.`);
}

// What is wrong with the faces that a mask names, in a picture with faces of these numbers; "" if nothing.
export function faceFault(text, numbers) {
  const missing = [...text.matchAll(/\bface(\d+)\./g)].map(([, number]) => Number(number))
    .find((number) => !numbers.includes(number));
  const there = numbers.length === 1 ? "there is only face 1" : `there are faces 1 to ${numbers.length}`;
  return missing === undefined ? "" : `mask names face ${missing}, and ${there}`;
}

export function tailOf(text, name) {
  return steps(text).find(([each]) => each === name)?.[1] ?? "";
}

// The mask text with `grow` or `feather` said anew; empty takes it out. Other steps stay where they are.
export function withTail(text, name, value) {
  const [regions] = text.split(";"), now = steps(text), at = now.findIndex(([each]) => each === name);
  if (at >= 0) now.splice(at, 1, [name, value.trim()]);
  else if (name === TAIL[0]) now.unshift([name, value.trim()]);
  else now.push([name, value.trim()]);
  const kept = now.filter(([, said]) => said).map((step) => step.join(" "));
  return [regions.trim(), ...kept].join("; ");
}

// Which pass is next, when these were made of the picture already.
export function nextTask(made) {
  return Object.keys(TASKS).find((task) => !made.includes(task) && task !== "neck") ?? "";
}

function steps(text) {
  return text.split(";").slice(1).map((step) => step.trim().split(/\s+/)).filter(([name]) => name)
    .map(([name, ...rest]) => [name, rest.join(" ")]);
}
