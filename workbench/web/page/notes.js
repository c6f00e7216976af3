// The notes of this user, over our routes. Knows the addresses, and nothing about how a note is drawn.

import { NotesPanel } from "../components/notes.js";

const address = (act, said) => `/api/notes/${act}?${new URLSearchParams(said)}`;
const post = (act, body) => page().json(`/api/notes/${act}`, { method: "POST", body });
const page = () => window.Sidelight;

export function mount(element, gradio) {
  const panel = new NotesPanel({
    source: {
      list: () => page().json("/api/notes"),
      note: (checkpoint) => page().json(address("note", { checkpoint })),
      save: (said) => post("note", said),
      restore: (said) => post("restore", said),
      read: (file, said) => page().json(address("import", said), { method: "POST", body: file }),
      exportUrl: (checkpoint) => address("export", { checkpoint }),
    },
    acts: {
      open: (run, keys) => page().open(run, { cells: keys, tab: "compare" }),
      use: (name) => {
        gradio.send.use({ name });
        page().go("create");
      },
      sweep: () => page().go("sweep"),
    },
    say: (text, more) => page().say(text, more),
  });
  const look = () => {
    const name = page().forNote || undefined;
    page().forNote = "";
    panel.look(name);
  };
  element.replaceChildren(panel.root);
  // A note may have been kept while another tab was shown.
  new IntersectionObserver(([seen]) => seen.isIntersecting && look()).observe(panel.root);
  document.addEventListener("sidelight:note", () => panel.root.checkVisibility() && look());
}
