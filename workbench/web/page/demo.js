// One tab's wish that the demo sweep be started, kept until the Sweep tab is there: Gradio draws a tab when it is first
// shown. Knows nothing about sweeps.

let start = null;
let isWanted = false;

function tell() {
  if (!start || !isWanted) return;
  isWanted = false;
  start();
}

export function wantDemo() {
  isWanted = true;
  window.Sidelight.go("sweep");
  tell();
}

export function onDemo(listener) {
  start = listener;
  tell();
}
