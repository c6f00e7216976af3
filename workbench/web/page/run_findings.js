// What is known of a run beside its pictures: their measures, and what was found. Knows nothing about how it is shown.

import "./page.js";

const AGAIN_MS = 15_000;
const last = new Map(); // by run: {told, at, findings}

const ask = (run, rest, more) => window.Sidelight.json(`/api/runs/${encodeURIComponent(run)}/${rest}`, more);

// {measures, findings}; findings are null where there are none. They take the server a second, so they are asked for
// when other pictures are measured, not at every one while that goes on; and now and then, as votes change them too.
export async function known(run) {
  const measures = await ask(run, "measures");
  const { edition, measured, of, is_measuring: isMeasuring } = measures;
  const told = JSON.stringify([edition, isMeasuring, ...(isMeasuring && before(run).findings ? [] : [of, measured])]);
  const { findings, at, told: earlier } = before(run);
  if (earlier === told && Date.now() - at < AGAIN_MS) return { measures, findings };
  const found = measured ? await ask(run, "findings").catch(() => findings) : null;
  last.clear(); // one run is looked at at a time
  last.set(run, { told, at: Date.now(), findings: found });
  return { measures, findings: found };
}

function before(run) { return last.get(run) ?? { findings: null, at: 0, told: "" }; }

// Asked for again at the next look.
export function forget() { last.clear(); }

export function measure(run, { again = false } = {}) {
  return ask(run, "measures", { method: "POST", body: { again } })
    .catch((error) => window.Sidelight.say(`Nothing is measured: ${error.message}`));
}
