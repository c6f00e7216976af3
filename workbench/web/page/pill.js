// The pill in the page's header: what is said when a job is cancelled, and the way back. Knows nothing about its look.

import * as pill from "../components/pill.js";
import page from "./bus.js";
import { follow, source } from "./queue.js";

async function bringBack(id) {
  const { jobs } = await source.queue();
  const wish = jobs.find((job) => job.id === id)?.state === "cancelled" ? "retry" : "resume";
  await source.wish(id, wish);
}

function said(job, wish) {
  if (wish !== "cancel") return;
  page().say(`${job.name} is cancelled; its whole pictures stay.`, {
    label: "Bring it back", action: () => bringBack(job.id).catch((error) => page().say(error.message)),
  });
}

export function mount(element) {
  const shown = pill.mount(element, {
    source, onOpen: (run) => page().open(run, { tab: "sweep" }), onMore: () => page().go("runs"), onWished: said,
    onProblem: (text) => page().say(text),
  });
  follow(element, shown);
}
