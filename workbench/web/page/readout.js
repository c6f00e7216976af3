// The words of the form as they will be sent. Knows nothing about how they are counted.

import { mount as mountReadout } from "../components/readout.js";

export function mount(element, gradio) {
  const readout = mountReadout(element, { onMend: () => gradio.send.mend({}) });
  gradio.watch((value) => readout.show(value));
  readout.show(gradio.value);
}
