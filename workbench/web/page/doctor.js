// Doctor over our routes. Knows the addresses, and nothing about how a report is drawn.

import { mount as mountDoctor } from "../components/doctor.js";

export function mount(element) {
  const panel = mountDoctor(element, {
    source: {
      report: () => window.Sidelight.json("/api/doctor"),
      begin: (quick) => window.Sidelight.json("/api/doctor", { method: "POST", body: { quick } }),
    },
    say: (text, more) => window.Sidelight.say(text, more),
  });
  window.Sidelight.poll(element, () => panel.tick(), 1);
}
