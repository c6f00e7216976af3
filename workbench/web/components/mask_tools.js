// The buttons over a mask: tools, undo, zoom; beside it the brush's sliders. Knows nothing about masks: a button calls
// what an editor can do, and shows what the editor says of itself.

import { choice, make, press } from "./element.js";

export const TOOLS = [["Regions", "regions", "v"], ["Brush", "brush", "b"], ["Eraser", "eraser", "e"]];
const ZOOMS = [["Fit", 0, "Shift 0"], ["100", 1, "Shift 1"], ["200", 2, "Shift 2"], ["400 %", 4, "Shift 4"]];
const STEPS = 1000; // of the size slider, which is logarithmic: each step is as much larger as the one before

const titled = (list) => list.map(([text, value, key]) => [text, value, `${text} (${key})`]);

function slider(text, keys, put, max) {
  const title = `${text} (${keys})`;
  const input = make("input", { type: "range", min: "0", max: String(max), ariaLabel: text, title });
  const told = make("output", {});
  input.oninput = () => put(Number(input.value));
  return { input, told, root: make("label", {}, make("span", { text }), told, input) };
}

export class MaskTools {
  constructor(editor) {
    this.editor = editor;
    const act = (text, title, onclick) => make("button", { type: "button", text, title, onclick });
    this.tools = choice("Tool", titled(TOOLS), (tool) => editor.setTool(tool));
    this.size = slider("Size", "[ and ]", (at) => editor.setBrush({ size: this.largest ** (at / STEPS) }), STEPS);
    this.hardness = slider("Hardness", "{ and }", (share) => editor.setBrush({ hardness: share / 100 }), 100);
    this.brush = make("div", { className: "sl-mask-brush", role: "group", ariaLabel: "Brush" }, this.size.root,
      this.hardness.root);
    this.undo = act("Undo", "Undo (Ctrl Z)", () => editor.undo());
    this.redo = act("Redo", "Redo (Ctrl Shift Z)", () => editor.redo());
    this.clear = act("Clear", "Empty the mask (Delete)", () => editor.clear());
    this.invert = act("Invert", "Swap inside and outside (i)", () => editor.invert());
    this.shown = act("Overlay", "Show or hide the mask (h)", () => editor.toggleShown());
    this.zooms = choice("Zoom", titled(ZOOMS), (zoom) => editor.zoomTo(zoom));
    const help = act("?", "All keys (?)", () => editor.help.showModal());
    help.ariaLabel = "All keys";
    this.root = make("div", { className: "sl-tools", role: "toolbar", ariaLabel: "Mask" }, this.tools,
      make("span", { className: "sl-acts" }, this.undo, this.redo, this.clear, this.invert),
      make("span", { className: "sl-push" }), this.shown, this.zooms, help);
  }

  get largest() { return Math.max(2, this.editor.largestBrush); }

  draw() {
    const { tool, brush, view, sheet, isShown } = this.editor, isOpen = Boolean(sheet);
    press(this.tools, tool);
    press(this.zooms, view.zoom);
    this.brush.hidden = tool === "regions";
    this.size.input.value = String(Math.round((STEPS * Math.log(brush.size)) / Math.log(this.largest)));
    this.size.told.textContent = `${brush.size < 10 ? Number(brush.size.toFixed(1)) : Math.round(brush.size)} px`;
    this.hardness.input.value = String(Math.round(brush.hardness * 100));
    this.hardness.told.textContent = `${Math.round(brush.hardness * 100)} %`;
    this.undo.disabled = !sheet?.past.length;
    this.redo.disabled = !sheet?.future.length;
    this.clear.disabled = !sheet?.sum;
    this.invert.disabled = !isOpen;
    this.shown.ariaPressed = String(isShown);
    for (const button of this.tools.children) button.disabled = !isOpen;
  }
}
