// The models of this machine, over our routes. Knows the addresses, and nothing about how a model is drawn.

import { mount as mountModels } from "../components/models.js";

const at = (name, act) => `/api/models/${encodeURIComponent(name)}/${act}`;
const post = (path, body = {}) => window.Sidelight.json(path, { method: "POST", body });

export function mount(element, gradio) {
  const panel = mountModels(element, {
    source: {
      models: () => window.Sidelight.json("/api/models"),
      pulls: () => window.Sidelight.json("/api/pulls"),
      pull: (name, agreed) => post(at(name, "pull"), { agreed }),
      cancel: (name) => post(at(name, "cancel")),
      verify: (name) => post(at(name, "verify")),
      restore: (name) => post(at(name, "restore")),
      remove: (name, how) => post(at(name, "remove"), how),
      add: (what) => post("/api/models/add", what),
    },
    onUse: (name) => {
      gradio.send.use({ name });
      window.Sidelight.go("create");
    },
    say: (text, more) => window.Sidelight.say(text, more),
  });
  window.Sidelight.poll(element, () => panel.tick(), 1);
}
