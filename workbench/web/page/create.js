// The stage of the Create tab: what is being made, and the last pictures with what they can become. Knows no form.

import { mount as mountMaking } from "../components/making.js";
import page from "./bus.js";
import { wantDemo } from "./demo.js";

const LAST = 24;
const ACTIONS = [
  ["create", "Use settings", "u", "Take over its settings, with its seed"],
  ["sweep", "Sweep from it", "s", "Vary around it in the Sweep tab"],
  ["start", "img2img", "i", "Make it again from itself, at strength 0.6"],
  ["reference", "Reference", "r", "Begin the next picture from it, at strength 0.5: pull the texture, not the face"],
  ["face", "Repair face", "f", "Repair skin, eyes or mouth of this one, and nothing else"],
  ["compare", "Compare", "c", "Put it beside others in the Compare tab"],
];
const SAID = {
  create: "Its settings are in the form.",
  start: "It is the start image now, with its own settings.",
  reference: "It is the start image now; the rest of the form stays.",
};

const source = {
  last: () => page().json(`/api/pictures?last=${LAST}`),
  live: (run) => page().json(`/api/runs/${encodeURIComponent(run)}/live`),
  cancel: (job) => page().json(`/api/queue/${job.id}`, { method: "POST", body: { wish: "cancel" } }),
  retry: (job) => page().json(`/api/queue/${job.id}`, { method: "POST", body: { wish: "retry" } }),
};

const GONE = "That picture is gone: its run was moved or deleted. What is in the trash can be restored under Runs.";

async function act(name, { run, key }) {
  try {
    const { pictures } = await page().json(`/api/pictures?last=${2 * LAST}`);
    if (!pictures.some((each) => each.run === run && each.key === key)) return page().say(GONE);
  } catch (error) {
    return page().say(error.message);
  }
  if (name === "compare") return page().open(run, { cells: [key], tab: "compare" });
  const tab = await page().hand(name, { run, key });
  if (tab !== "create") return undefined;
  return page().say(SAID[name], { label: "Undo", action: () => document.querySelector("#create-undo")?.click() });
}

export function mount(element, gradio) {
  const onMade = () => gradio.send.made({});
  const emptyActions = [
    ["Make the first picture", () => document.querySelector("#create-make")?.click(), "sl-main"],
    [`Start the demo sweep: ${gradio.value?.demo ?? ""}`, wantDemo],
  ];
  const making = mountMaking(element, { source, actions: ACTIONS, onAct: act, onMade, emptyActions });
  gradio.watch((value) => value?.job && making.follow());
}
