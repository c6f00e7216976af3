// Outlines of faces' regions over a picture, crisp at any zoom, and each face's number. Knows nothing about the words
// of a mask: it shows the signs it is given. Small regions lie over large ones, so that the pointer reaches both.

import { make } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";
const ONLY_IN_LIST = ["left-cheek", "right-cheek"]; // each lies exactly over a half of "cheeks"

function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const pathOf = (polygons) => polygons.map((points) => `M${points.map((point) => point.join(" ")).join("L")}Z`).join("");

function areaOf(polygons) {
  const area = (points) => points.reduce((sum, [x, y], at) => {
    const [nextX, nextY] = points[(at + 1) % points.length];
    return sum + x * nextY - nextX * y;
  }, 0) / 2;
  return polygons.reduce((sum, points) => sum + Math.abs(area(points)), 0);
}

export class Outlines {
  constructor({ pick, point }) {
    this.pick = pick; // (face number): its number was pressed
    this.point = point; // (face number, region) or (0, ""): what the pointer is over
    this.sheet = draw("g", {});
    this.svg = draw("svg", { class: "sl-mask-outlines", "aria-hidden": "true" }, this.sheet);
    this.badges = make("div", { className: "sl-mask-badges" });
    this.faces = new Map(); // number -> {face, badge, group, regions: Map(name -> path group)}
    this.svg.addEventListener("pointerover", (event) => this.point(...this.under(event.target)));
    this.svg.addEventListener("pointerleave", () => this.point(0, ""));
  }

  open(faces) {
    this.faces.clear();
    for (const face of faces) {
      const badge = make("button", { type: "button", className: "sl-letter", text: String(face.number), tabIndex: -1,
        title: `Face ${face.number}${face.note ? `: ${face.note}` : ""}`, onclick: () => this.pick(face.number) });
      this.faces.set(face.number, { face, badge, group: draw("g", { class: "sl-mask-face" }), regions: new Map() });
    }
    const all = [...this.faces.values()];
    this.sheet.replaceChildren(...all.map(({ group }) => group));
    this.badges.replaceChildren(...all.map(({ badge }) => badge));
  }

  fill(number, regions) {
    const { group, regions: shown } = this.faces.get(number);
    const drawable = Object.entries(regions).filter(([name, { polygons }]) =>
      polygons?.length && !ONLY_IN_LIST.includes(name));
    const ordered = drawable.map(([name, { polygons }]) => [name, polygons, areaOf(polygons)])
      .sort((one, other) => other[2] - one[2]);
    shown.clear();
    for (const [name, polygons] of ordered) {
      const d = pathOf(polygons);
      shown.set(name, draw("g", { "data-face": number, "data-region": name },
        draw("path", { d, class: "sl-casing" }), draw("path", { d, class: "sl-line", "fill-rule": "evenodd" })));
    }
    group.replaceChildren(...shown.values());
  }

  // Face number and region at an element; (0, "") elsewhere.
  under(target) {
    const { face, region } = target.closest?.("[data-region]")?.dataset ?? {};
    return face ? [Number(face), region] : [0, ""];
  }

  // `signOf(number, region)` is "+", "-" or "".
  mark(picked, signOf) {
    for (const [number, { badge, group, regions }] of this.faces) {
      group.classList.toggle("sl-picked", number === picked);
      badge.ariaPressed = String(number === picked);
      for (const [name, element] of regions) element.dataset.sign = signOf(number, name);
    }
  }

  hover(number, region) {
    for (const [each, { regions }] of this.faces) {
      for (const [name, element] of regions) {
        element.classList.toggle("sl-over", each === number && name === region);
      }
    }
  }

  // `corner` and `scale` in device pixels, as a view gives them.
  place(corner, scale) {
    const [x, y] = corner.map((px) => px / devicePixelRatio), css = scale / devicePixelRatio;
    this.sheet.setAttribute("transform", `translate(${x} ${y}) scale(${css})`);
    for (const { face: { box }, badge } of this.faces.values()) {
      badge.style.transform = `translate(${x + box[0] * css}px, ${y + box[1] * css}px) translate(-50%, -50%)`;
    }
  }
}
