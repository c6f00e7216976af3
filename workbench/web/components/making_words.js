// How far a job is, in words and as a share. Knows nothing about elements.

export function spanOf(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.floor(seconds / 60), rest = Math.round(seconds % 60);
  if (minutes < 60) return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// `live` is {cells: {KEY: {step, steps}}} or null; {title, text, share} of the whole job.
export function progressOf(job, live) {
  const steps = Object.values(live?.cells ?? {});
  const walked = steps.reduce((sum, { step, steps: all }) => sum + (all ? step / all : 0), 0);
  const share = Math.min(1, (job.done + walked) / Math.max(1, job.cells));
  if (job.state === "failed") return { title: "Not made", text: `The last one was not made: ${job.error}`, share };
  if (job.wish === "cancel") return { title: "Cancelling", text: "stops at the next step", share };
  if (job.state === "waiting") return { title: "Waiting", text: waitOf(job), share };
  const which = job.cells > 1 ? `picture ${Math.min(job.cells, job.done + 1)} of ${job.cells}, ` : "";
  const left = job.seconds_left === null ? "" : `, about ${spanOf(job.seconds_left)} left`;
  const [first] = steps;
  if (!first?.steps) return { ...between(job), share };
  return { title: "Being made", text: `${which}step ${first.step} of ${first.steps}${left}`, share };
}

function between({ done, cells }) {
  if (done >= cells) return { title: "Made", text: "is being put away" };
  return { title: "Getting ready", text: done ? "the next one begins" : "the checkpoint is being opened" };
}

function waitOf(job) {
  return job.error || "waits for the worker, which begins in a moment";
}
