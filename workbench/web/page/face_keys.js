// The keys of the Face tab, as a dialog. Knows nothing about what the keys do.

import { keysHelp } from "../components/keys_help.js";

export const helpOf = () => keysHelp([
  ["Ctrl Enter", "repair, from anywhere in this tab"],
  ["m Esc", "mask or result; back to the mask"],
  ["← →", "the picture before, and each that was made"],
  ["b", "held: the picture before, in the same place"],
  ["w", "wipe: before at the left, after at the right; ← → on its handle move it"],
  ["z + −", "crop or 100 %; zoom in and out; so does the wheel, and dragging moves the pictures"],
  ["c", "compare them on the cheek at 200 %"],
  ["a", "accept: go on from this one"],
  ["?", "this list; the mask's own keys stand under ? there"],
]);
