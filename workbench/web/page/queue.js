// The queue on the page: its routes, and how often it is asked. Knows nothing about how it is drawn.

import * as panel from "../components/queue.js";
import page from "./bus.js";

const BUSY_SECONDS = 1, CALM_SECONDS = 3;

export const source = {
  queue: () => page().json("/api/queue"),
  wish: (id, wish) => page().json(`/api/queue/${id}`, { method: "POST", body: { wish } }),
  stop: () => page().json("/api/queue/worker", { method: "POST", body: { wish: "stop" } }),
  async log() {
    const answer = await fetch("/api/queue/log");
    if (!answer.ok) throw new Error(`the server refused this (${answer.status})`);
    return answer.text();
  },
};

// Lets a part refresh itself as long as its element is seen, more often while something runs.
export function follow(element, part) {
  let off = () => {}, seconds = 0;
  const ask = async () => pace(await part.refresh() ? BUSY_SECONDS : CALM_SECONDS);
  const pace = (wanted) => {
    if (wanted === seconds) return;
    off();
    seconds = wanted;
    off = page().poll(element, ask, seconds);
  };
  pace(BUSY_SECONDS);
  return () => off();
}

export function mount(element) {
  const shown = panel.mount(element, { source, onOpen: (run) => page().open(run, { tab: "sweep" }) });
  follow(element, shown);
}
