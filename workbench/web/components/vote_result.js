// What blind votes came to: settings from most to least preferred with intervals, what the votes follow, who voted.
// Knows nothing about routes. A result: what `sweeps.votes_result.VotesResult` says.

import { choice, make, press, typed } from "./element.js";
import { wordsOf } from "./overlay_scale.js";
import { many } from "./shelf_find.js";

const percent = (share) => `${Math.round(100 * share)} %`;
const range = ({ low, high }) => `${Math.round(100 * low)} to ${Math.round(100 * high)}`;

const WANTED = { more: ": more", less: ": less", "": "" };

export function resultPage(result) {
  const sentences = make("div", { className: "sl-told" }, ...result.sentences.map((text) => make("p", { text })));
  const cautions = result.cautions.map((text) => make("p", { className: "sl-caution" }, ...typed(text)));
  const body = make("div", { className: "sl-columns" });
  const names = result.voters.map(({ by }) => by);
  const views = choice("Whose votes", [["Together", ""], ...names.map((name) => [name, name])], show);
  views.hidden = names.length < 2;
  function show(name) {
    press(views, name);
    const one = result.voters.find(({ by }) => by === name) ?? result;
    body.replaceChildren(ranking(one.ranking), follows(one.follows));
  }
  show("");
  const people = [voters(result.voters), ...(result.between.length ? [between(result.between)] : [])];
  return make("div", { className: "sl-result" }, sentences, ...cautions, views, body,
    make("div", { className: "sl-columns" }, ...people));
}

function ranking({ settings, votes, equal }) {
  const rows = settings.map((each) => make("li", {},
    make("span", { className: "sl-name", text: each.setting, title: each.setting }),
    interval(each.share, each),
    make("b", { text: percent(each.share) }),
    make("span", { className: "sl-quiet", text: range(each) }),
    make("span", { className: "sl-quiet", text: many(each.votes, "vote") })));
  const counted = `${many(votes, "vote")}, ${equal} equal`;
  const about = `How often each is preferred to the others, with 95 % intervals · ${counted}`;
  return section("Settings", about, make("ol", { className: "sl-rows sl-ranked" }, ...rows));
}

function follows(found) {
  const rows = found.map((each) => make("li", { className: each.wanted ? "" : "sl-by-chance" },
    make("span", { className: "sl-name", text: wordsOf(each.measure) }),
    interval(each.share.value, each.share),
    make("b", { text: percent(each.share.value) }),
    make("span", { className: "sl-quiet", text: range(each.share) }),
    make("span", { className: "sl-quiet", text: many(each.share.n, "vote") + WANTED[each.wanted] })));
  const about = "How often the picture with the higher number was preferred. White: surely more, or less, of it is "
    + "preferred; grey: it may be chance. Measures that rise together are followed together.";
  const list = rows.length ? make("ul", { className: "sl-rows" }, ...rows)
    : make("p", { className: "sl-quiet", text: "No picture of these votes is measured." });
  return section("Measures", about, list);
}

// A line from low to high with a dot at the value, over 0 to 100 %; one half is marked.
function interval(value, { low, high }) {
  const dot = make("i"), line = make("u");
  dot.style.left = `${100 * value}%`;
  Object.assign(line.style, { left: `${100 * low}%`, width: `${100 * (high - low)}%` });
  const ariaLabel = `${percent(value)}, ${range({ low, high })}`;
  return make("span", { className: "sl-interval", role: "img", ariaLabel }, line, dot);
}

function voters(people) {
  const cells = people.map(({ by, votes, skipped, left, last }) =>
    [by, String(votes), String(skipped), left.n ? `${percent(left.value)}, ${range(left)}` : "", day(last)]);
  const about = "Sides are drawn, so whoever takes one side more often moves no setting";
  return section("Who voted", about, table(["who", "votes", "skipped", "took the left", "last"], cells));
}

function between(pairs) {
  const cells = pairs.map(({ one, other, same }) =>
    [`${one} and ${other}`, percent(same.value), range(same), many(same.n, "pair")]);
  const about = "How often they gave the same answer to pairs that both judged";
  return section("Agreement", about, table(["", "same", "95 %", "of"], cells));
}

function day(at) { return at.slice(0, 16).replace("T", " "); }

function table(names, rows) {
  const head = make("thead", {}, make("tr", {}, ...names.map((text) => make("th", { text }))));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((text) => make("td", { text }))));
  return make("table", {}, head, make("tbody", {}, ...body));
}

function section(title, about, content) {
  return make("section", {}, make("h3", { text: title }), make("p", { className: "sl-quiet", text: about }), content);
}
