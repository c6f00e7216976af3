// What the Face tab asks the server for: pictures, masks, repairs, runs, histories. Knows nothing about what is shown.

import page from "./bus.js";

const of = (text) => encodeURIComponent(text);

export const source = {
  open: (file) => page().json("/api/face/pictures", { method: "POST", body: file }),
  openOfRun: (picture) => page().json("/api/face/pictures", { method: "POST",
    body: new Blob([JSON.stringify(picture)], { type: "application/json" }) }),
  measures: (id, face) => page().json(`/api/face/pictures/${of(id)}/measures?face=${of(face)}`),
  mask: (id, text) => fileAt(`/api/face/pictures/${of(id)}/mask?expression=${of(text)}`),
  paint: (id, blob) => page().json(`/api/face/pictures/${of(id)}/mask`, { method: "POST", body: blob }),
  told: (form) => page().json("/api/repairs/told", { method: "POST", body: form }),
  begin: (form) => page().json("/api/repairs", { method: "POST", body: form }),
  history: (run, key) => page().json(`/api/repairs/${of(run)}/${key}/history`),
  grid: (run) => page().json(`/api/runs/${of(run)}/grid`),
  live: (run) => page().json(`/api/runs/${of(run)}/live`),
  places: (run) => page().json(`/api/places/${of(run)}`),
  sidecar: (run, key) => page().json(`/pictures/${of(run)}/${key}.json`),
  mark: (run, key, pick) => page().json(`/api/marks/${of(run)}`, { method: "POST", body: { key, pick } }),
  wish: (job, wish) => page().json(`/api/queue/${job}`, { method: "POST", body: { wish } }),
  sidecarUrl: (run, key) => `/pictures/${of(run)}/${key}.json`,
  inputUrl: (run, content) => `/inputs/${of(run)}/${content}.png`,
};

// A picture that lies at an address of ours, as a file; the server's refusal as an Error with one line.
export async function fileAt(url) {
  const answer = await fetch(url).catch(() => null);
  if (answer?.ok) return answer.blob();
  const said = await answer?.json().catch(() => null);
  throw new Error(said?.error ?? "the page's server does not answer, or that picture is gone");
}
