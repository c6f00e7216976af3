// What a sweep would be, before it is started: how many pictures, how long, how much disk, and the words that mean the
// same on a command line or in a file. Knows nothing about how it was put together.

import { make } from "./element.js";

export class OutlookPanel {
  constructor() {
    this.figures = make("div", { className: "sl-figures" });
    this.more = make("div", { className: "sl-more" });
    this.problem = make("div", { className: "sl-problem", role: "alert" });
    this.warnings = make("ul", { className: "sl-warnings" });
    this.command = copied("Command");
    this.toml = copied("sweep.toml");
    this.said = make("div", { className: "sl-same" }, this.command.root, this.toml.root);
    this.root = make("section", { className: "sl-outlook", ariaLabel: "What this sweep is", ariaLive: "polite" },
      this.figures, this.more, this.problem, this.warnings, this.said);
  }

  // {cells, places, merged, dropped, time, time_by, disk, warnings, error, command, toml}; cells null: not counted.
  tell({ cells, places, merged, dropped, time, time_by, disk, warnings, error, command, toml }) {
    const isCounted = cells !== null, isKnown = isCounted || places > 0;
    const figure = (big, small) => make("div", {}, make("b", { text: big }), make("span", { text: small }));
    this.figures.replaceChildren(...(isKnown && !error ? [
      figure(isCounted ? String(cells) : `up to ${places}`, cells === 1 ? "picture" : "pictures"),
      figure(time || "time unknown", time ? time_by : "until a first run here"),
      ...(disk ? [figure(disk, "on disk")] : []),
    ] : []));
    this.more.textContent = error || !isKnown ? "" : moreOf({ cells, places, merged, dropped });
    if (this.problem.textContent !== error) this.problem.textContent = error;
    this.warnings.replaceChildren(...warnings.map((text) => make("li", { text, title: text })));
    this.said.hidden = !command;
    this.command.tell(command);
    this.toml.tell(toml);
  }
}

function moreOf({ cells, places, merged, dropped }) {
  if (cells === null) return "So many are counted exactly when they are started.";
  if (places === 1) return "Nothing varies yet: write values above, such as 2..9:1.";
  const less = [[merged, "shown twice, made once"], [dropped, "left out by conditions"]].filter(([count]) => count);
  return less.length ? `${places} places: ${less.map(([count, text]) => `${count} ${text}`).join(", ")}.` : "";
}

// A text to look at and to copy.
function copied(title) {
  const text = make("pre", { tabIndex: 0, ariaLabel: title });
  const button = make("button", { type: "button", text: "Copy", ariaLabel: `Copy ${title}` });
  button.onclick = async (event) => {
    event.preventDefault();
    root.open = true;
    getSelection().selectAllChildren(text);
    const isCopied = await copy(text.textContent);
    button.textContent = isCopied ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  const root = make("details", {}, make("summary", {}, make("span", { text: title }), button), text);
  return { root, tell(words) { text.textContent = words; } };
}

// A browser may refuse, and over plain HTTP from another machine there is nothing to ask: then Ctrl+C does the rest.
function copy(text) {
  const asked = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard here"));
  return asked.then(() => true, () => false);
}
