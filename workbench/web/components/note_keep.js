// Keeps what a run found as the note of a checkpoint, and asks where an earlier note says otherwise.
// Knows nothing about findings or how a note is drawn.

import { askWhich } from "./note_conflicts.js";

const ADDRESS = "/api/notes/keep";

// `say(text, {label, action})` tells what came of it; `onShow(checkpoint)` goes to the note. Answers whether it was
// kept.
export async function keepNote({ run, checkpoint, say, onShow = null }) {
  const asked = { run, checkpoint, take: [] };
  for (;;) {
    const { status, said } = await post(asked);
    if (status === 409 && said.conflicts) {
      const sides = ["Your note says", "This run found"];
      const take = await askWhich({ title: `The note of ${checkpoint} says something else`, sides,
        conflicts: said.conflicts, yes: "Keep these" });
      if (!take) return false;
      Object.assign(asked, { take, stamp: said.stamp });
    } else if (status === 200) {
      const more = onShow ? { label: "Show the note", action: () => onShow(checkpoint) } : {};
      say(`Kept: ${lineOf(said)}. Create and Sweep start from it.`, more);
      return true;
    } else {
      say(`Nothing was kept: ${said.error}`);
      return false;
    }
  }
}

function lineOf({ checkpoint, rows }) {
  const said = Object.fromEntries(rows);
  const parts = [said["start from"], said["guidance window"] && `window ${said["guidance window"]}`,
    said["step plateau"]].filter(Boolean);
  return `the note of ${checkpoint}${parts.length ? ` (${parts.join("; ")})` : ""}`;
}

async function post(body) {
  try {
    const answer = await fetch(ADDRESS, { method: "POST", body: JSON.stringify(body) });
    const said = await answer.json().catch(() => ({}));
    return { status: answer.status, said: { error: `the server refused this (${answer.status})`, ...said } };
  } catch {
    return { status: 0, said: { error: "the page's server does not answer; it may be starting again" } };
  }
}
