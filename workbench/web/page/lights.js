// The lights in the form of the Create tab. Knows nothing about how they are drawn.

import { mount as mountLights } from "../components/lights.js";
import page from "./bus.js";

const source = {
  all: () => page().json("/api/lights"),
  one: (name, fields) => page().json(`/api/lights/${encodeURIComponent(name)}?${new URLSearchParams(fields)}`),
};

export function mount(element, gradio) {
  const lights = mountLights(element, { source, onChoose: (chosen) => gradio.send.choose(chosen) });
  gradio.watch((value) => lights.show(value ?? {}));
  lights.show(gradio.value ?? {});
}
