// What is proven of one repaired picture, in words: what changed outside the mask, and how a reference pulled.
// Knows nothing about how either is counted.

import { make } from "../components/element.js";
import { source } from "./face_source.js";

const grouped = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, " ");

// Fills `line`, or hides it where there is no sidecar.
export function proofOf(line, sidecar, run) {
  line.hidden = !sidecar;
  if (!sidecar || line.dataset.key === sidecar.key) return;
  line.dataset.key = sidecar.key;
  const { proof, pull, warnings } = sidecar.facts;
  const link = make("a", { text: "Sidecar", href: source.sidecarUrl(run, sidecar.key), target: "_blank",
    rel: "noopener", title: "Everything that is known of how it was made, with the hashes of the proof" });
  const unproven = make("span", { text: "not proven: it was made without a mask" });
  line.replaceChildren(...(proof ? proven(proof) : [unproven]), ...(pull ?? []).map(pulled),
    ...warnings.map((text) => make("span", { className: "sl-warned", text, title: text })), link);
}

function proven({ outside, changed_outside: changed, inside, changed_inside: repaired }) {
  return [
    make("b", { text: `${grouped(changed)} of ${grouped(outside)} samples outside the mask changed`,
      className: changed ? "sl-broken" : "", title: "A sample is one channel of one pixel. Every one outside the mask is "
        + "compared with the picture before; the sidecar holds both hashes, and sidelight face verify counts again" }),
    make("span", { className: "sl-quiet", text: `inside: ${grouped(repaired)} of ${grouped(inside)}` }),
  ];
}

// Of the way from the picture before to the reference: how far its texture came, and how far the face did.
function pulled({ weight, texture, geometry }) {
  const said = ({ value, why }) => (value === null ? why : percent(Math.round(100 * value)));
  return make("span", { text: `reference at ${weight}: texture ${said(texture)}, face drift ${said(geometry)}`,
    title: "Shares of the way to the reference: its texture is wanted, its face is not" });
}

function percent(whole) { return `${whole < 0 ? "−" : whole > 0 ? "+" : ""}${Math.abs(whole)} %`; }
