// The panel of findings of one run, with what its buttons do on this page. Knows nothing about how findings are shown.

import "../components/advice.js";
import "../components/findings.js";
import { keepNote } from "../components/note_keep.js";
import "../components/vote.js";
import { forget, known, measure } from "./run_findings.js";

const KNOWN_SECONDS = 3;
const BUDGET = 24; // cells that one press may add; `sidelight findings --budget` has the same
const CHOSEN = 4; // pictures that Compare shows
const FULL_SIZE = 1; // a picture's pixel for one of the screen
const NOTHING_FOUND = { findings: null, command: "", can_add: 0, time: "", why_not: "" };
const page = window.Sidelight;

// Mounted in `element`; answers {show(run), tell(told)}. With `isTold` someone else asks what is known.
export function findingsPanel(element, { isTold = false, ...options } = {}) {
  let run = "", places = {}, panel = null, end = null;
  const ask = (kind, rest = "", more = {}) => page.json(`/api/${kind}/${encodeURIComponent(run)}${rest}`, more);

  const open = (keys) => {
    const [x, y, width, height] = places.cheek ?? [];
    const aim = places.cheek ? { zoom: FULL_SIZE, x: x + width / 2, y: y + height / 2, crop: "cheek" } : null;
    page.open(run, { cells: keys.slice(0, CHOSEN), tab: "compare", aim });
  };

  const handlers = {
    onOpen: open,
    onMeasure: () => measure(run).then(again),
    onAdd: async () => {
      const { job, cells } = await ask("runs", "/cells", { method: "POST", body: { budget: BUDGET } });
      again();
      page.say(`${cells === 1 ? "1 cell is" : `${cells} cells are`} added to this run, in the queue as job ${job}.`);
    },
    onKeep: async (checkpoint) => {
      if (await keepNote({ run, checkpoint, say: page.say, onShow: page.showNote })) again();
    },
    onAdvice: (key) => window.SidelightAdvice.open({ run, key }),
    onVote: () => window.SidelightVote.open({ run, onClose: (isChanged) => { if (isChanged) again(); } }),
    onCopy: async (command) => {
      const isCopied = await navigator.clipboard?.writeText(command).then(() => true, () => false);
      page.say(isCopied ? `Copied: ${command}` : `The browser does not let this page copy. The command: ${command}`);
    },
  };

  async function look() {
    if (!run) return;
    const asked = run, told = await known(run);
    if (asked === run) await tell(told);
  }

  function again() {
    forget();
    look();
  }

  async function tell({ measures, findings }) {
    const asked = run, found = places.cheek ? places : await ask("places").catch(() => ({}));
    if (asked !== run) return;
    places = found;
    const { measured, of, is_measuring, fault } = measures, name = encodeURIComponent(run);
    panel?.show({
      ...NOTHING_FOUND, ...findings,
      progress: { measured, of, is_measuring, fault }, measures: measures.measures, cheek: places.cheek ?? null,
      pictureOf: (key) => ({ url: `/pictures/${name}/${key}.png`, thumb: `/pictures/${name}/${key}.webp` }),
    });
  }

  function close() {
    end?.();
    panel?.destroy();
    [run, places, panel, end] = ["", {}, null, null];
  }

  function show(other) {
    if (other === run) return;
    close();
    if (!other) return;
    run = other;
    panel = window.SidelightFindings.mount(element, { ...handlers, ...options });
    if (!isTold) end = page.poll(element, () => look().catch(() => null), KNOWN_SECONDS);
  }
  return { show, tell };
}
