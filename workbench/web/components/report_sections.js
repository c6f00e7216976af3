// The parts of a run's report, each drawn from what it says, or left out. Knows nothing about when they are drawn.

import { make } from "./element.js";
import { many } from "./shelf_find.js";
import { bar } from "./shelf_row.js";

const SHOWN_LABELS = 12;
const SHOWN_LINES = 8;
const HOW = {
  finished: "finished", paused: "paused by itself", cancelled: "stopped, or made way", died: "ended without a word",
  open: "not ended",
};
const NUMERICS = {
  vae_dtype: "autoencoder", lanes: "side by side", tiled: "tiles", compile: "compiled",
};
const VERSIONS = ["torch", "diffusers", "transformers"];
const RATE = "Rate them in Compare: 1 to 5 for stars, p picks, x rejects.";
const NOBODY = "Nothing has worked on this run yet.";
const DIED = "The process was killed or the power failed. What was whole is kept.";

function section(title, className, ...children) {
  return make("section", { className: `sl-part ${className}` }, make("h3", { text: title }), ...children);
}

function table(heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col", text })));
  const lines = rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines));
}

function quiet(text) { return make("p", { className: "sl-quiet", text }); }

// Long lists are cut with a button that shows the rest.
function listOf(items, of) {
  const list = make("ul");
  const rest = items.slice(SHOWN_LINES);
  list.append(...items.slice(0, SHOWN_LINES).map(of));
  if (!rest.length) return list;
  const more = make("button", { type: "button", text: `Show ${rest.length} more` });
  more.onclick = () => more.parentElement.replaceWith(...rest.map(of));
  list.append(make("li", {}, more));
  return list;
}

function pictures({ pictures, is_rated: isRated }, { open }) {
  if (!pictures.length) return null;
  const title = isRated ? "Best rated" : "Pictures, none rated yet";
  const boxes = make("div", { className: "sl-pictures" }, ...pictures.map((picture) => boxOf(picture, open)));
  return section(title, "sl-wide", boxes, ...(isRated ? [] : [quiet(RATE)]));
}

function boxOf({ key, name, thumb, stars, mark }, open) {
  const image = make("img", { src: thumb, alt: "", draggable: false, decoding: "async" });
  const pill = mark ? [make("span", { className: "sl-pill", text: "★".repeat(stars) || "picked" })] : [];
  const title = [name, mark].filter(Boolean).join(", ");
  const button = make("button", { type: "button", className: "sl-picture", title });
  button.ariaLabel = `${title || key}, open in Compare`;
  button.onclick = () => open(key);
  button.append(image, ...pill);
  return button;
}

function failed({ failed, job }, { retry }) {
  if (!failed.length) return null;
  const again = make("button", { type: "button", text: `Retry ${many(failed.length, "picture")}`, onclick: retry });
  again.disabled = Boolean(job);
  const hint = job ? [make("span", { className: "sl-quiet", text: `The run is in the queue (${job}).` })] : [];
  const line = ({ key, name, reason }) => make("li", {}, make("b", { text: name || key }), ` ${reason}`);
  const buttons = make("div", { className: "sl-line" }, again, ...hint);
  return section(`Failed: ${failed.length}`, "sl-failures", listOf(failed, line), buttons);
}

function warnings({ warnings }) {
  if (!warnings.length) return null;
  const about = ({ pictures, first }) => (pictures > 1 ? `${pictures} pictures, first ${first}` : first);
  const line = (warning) => make("li", { text: warning.text }, make("small", { text: about(warning) }));
  return section(`Warnings: ${warnings.length}`, "", listOf(warnings, line));
}

function made({ axes, constants, subtitle }) {
  const lines = [
    ...axes.map(({ name, labels }) => [name, labelsOf(labels), true]),
    ...constants.map(([name, text]) => [name, text || "empty", false]),
  ];
  const list = lines.flatMap(([name, text, varies]) =>
    [make("dt", { text: name }), make("dd", { text, className: varies ? "sl-varies" : "" })]);
  return section("What was asked for", "", quiet(subtitle), make("dl", {}, ...list));
}

function labelsOf(labels) {
  const more = labels.length > SHOWN_LABELS ? `, and ${labels.length - SHOWN_LABELS} more` : "";
  return `${labels.slice(0, SHOWN_LABELS).join(", ")}${more}`;
}

function sessions({ sessions, each, seconds, job }) {
  if (!sessions.length) return section("Sessions", "", quiet(NOBODY));
  const rows = sessions.map((session, at) => {
    const isNow = session.how === "open" && job === "running" && at === sessions.length - 1;
    const how = make("span", { text: isNow ? "runs now" : HOW[session.how] });
    const why = session.reason || (session.how === "died" ? DIED : "");
    if (why) how.append(make("small", { text: why }));
    const made = make("span", { text: `${session.made} of ${session.wanted}` });
    if (session.failed) made.append(make("small", { text: `${session.failed} failed` }));
    return [moment(session.began), length(session), how, made];
  });
  const took = each === null ? "" : `${duration(each)} for one picture (median), ${duration(seconds)} for all.`;
  return section("Sessions", "", table(["began", "took", "ended", "made"], rows), quiet(took));
}

// UTC in the journal, the clock on the wall here.
function moment(at) {
  const time = new Date(at);
  if (isNaN(time)) return "unknown";
  const year = time.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  return time.toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", ...year });
}

function length({ began, ended }) {
  const seconds = (new Date(ended) - new Date(began)) / 1000;
  return isNaN(seconds) ? "–" : duration(seconds);
}

function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function marks({ marks }) {
  if (!marks.marked) return null;
  const picks = [[marks.picked, "picked"], [marks.rejected, "rejected"]].filter(([count]) => count);
  const words = [...picks, ...marks.faults].map((pair) => pair.join(" ")).join(" · ");
  const remark = ({ name, text }) => make("li", {}, `“${text}”`, make("small", { text: name }));
  const by = marks.by.length ? `, by ${marks.by.join(", ")}` : "";
  const remarks = marks.remarks.length ? listOf(marks.remarks, remark) : null;
  const parts = [starBars(marks.stars), words ? make("p", { text: words }) : null, remarks];
  return section(`Marks: ${many(marks.marked, "picture")}${by}`, "", ...parts.filter(Boolean));
}

function starBars(counts) {
  const most = Math.max(...counts);
  const lines = counts.map((count, at) => [count, "★".repeat(at + 1)]).filter(([count]) => count).reverse();
  if (!lines.length) return null;
  return make("ul", { className: "sl-bars" }, ...lines.map(([count, text]) =>
    make("li", {}, make("span", { text }), bar(count / most), make("b", { text: count }))));
}

function numerics({ numerics }) {
  if (!numerics.length) return null;
  const lines = numerics.filter(({ name }) => !VERSIONS.includes(name)).flatMap(({ name, value, reason, planned }) => {
    const why = [planned && `planned with ${planned}`, reason].filter(Boolean).join("; ");
    const said = make("dd", { text: value }, ...(why ? [make("small", { text: why })] : []));
    return [make("dt", { text: NUMERICS[name] ?? name.replaceAll("_", " ") }), said];
  });
  const versions = numerics.filter(({ name }) => VERSIONS.includes(name)).map(({ name, value }) => `${name} ${value}`);
  return section("Numerics", "", make("dl", {}, ...lines), quiet(versions.join(" · ")));
}

function goingOn({ command }, { say }) {
  const copy = make("button", { type: "button", text: "Copy" });
  copy.onclick = async () => {
    const isCopied = await navigator.clipboard?.writeText(command).then(() => true, () => false);
    if (isCopied) copy.textContent = "Copied";
    else say("The browser does not let this page copy; select the command by hand.");
  };
  const line = make("div", { className: "sl-line" }, make("code", { text: command }), copy);
  return section("On the command line", "", line, quiet("Makes what is missing, as Resume does here."));
}

export const SECTIONS = [pictures, failed, warnings, made, marks, sessions, numerics, goingOn];
