// The form that adds models of one's own, and what came of it. Knows nothing about where lists are kept.

import { make } from "./element.js";
import { KINDS } from "./models_words.js";

const MOST_SHOWN = 12;

// `add({path, repo, family, kind, name})` answers {added, listed_before, refused, more_refused, own_list} or throws.
export class AddForm {
  constructor({ families, add, onAdded, onClose }) {
    Object.assign(this, { add, onAdded });
    this.what = make("input", { type: "text", id: "sl-add-what", spellcheck: false, autocomplete: "off",
      placeholder: "/mnt/models or owner/repository@main" });
    this.name = make("input", { type: "text", id: "sl-add-name", spellcheck: false, autocomplete: "off",
      placeholder: "from the file's name" });
    this.family = choose("sl-add-family", [["", "choose"], ...families]);
    this.kind = choose("sl-add-kind", Object.entries(KINDS));
    this.ofHub = make("div", { className: "sl-add-hub", hidden: true },
      field("Family", this.family), field("Kind", this.kind));
    this.submit = make("button", { type: "submit", text: "Add", className: "sl-main" });
    this.problem = make("p", { className: "sl-problem", role: "alert", hidden: true });
    this.result = make("div", { className: "sl-add-result", role: "status" });
    const close = make("button", { type: "button", text: "Close", onclick: onClose });
    this.root = make("form", { className: "sl-model-add", onsubmit: (event) => this.send(event) },
      make("header", {}, make("h2", { text: "Add your own" }), make("p", { className: "sl-quiet",
        text: "A folder is looked through with all that is in it; files stay where they are, and only their headers " +
          "are read. A repository is written OWNER/REPO@REVISION, with /FILE behind it for one file." })),
      field("Folder, file or repository", this.what), this.problem, this.ofHub, field("Name", this.name),
      make("div", { className: "sl-model-actions" }, this.submit, close), this.result);
    this.what.oninput = () => { this.ofHub.hidden = !isRepository(this.what.value); };
  }

  focus() { this.what.focus(); }

  async send(event) {
    event.preventDefault();
    const text = this.what.value.trim();
    const ofHub = { repo: text, family: this.family.value, kind: this.kind.value };
    const place = isRepository(text) ? ofHub : { path: text };
    this.submit.disabled = true;
    this.problem.hidden = true;
    this.result.replaceChildren(make("p", { className: "sl-quiet", text: "Looking …" }));
    try {
      this.show(await this.add({ ...place, name: this.name.value.trim() }));
    } catch (error) {
      this.problem.textContent = error.message;
      this.problem.hidden = false;
      this.result.replaceChildren();
    }
    this.submit.disabled = false;
  }

  show({ added, listed_before, refused, more_refused, own_list }) {
    const [news, known] = [Object.entries(added), Object.entries(listed_before)];
    const count = `${news.length} added to ${own_list}, ${known.length} listed before, ` +
      `${refused.length + more_refused} refused`;
    const more = refused.length - MOST_SHOWN + more_refused;
    this.result.replaceChildren(
      make("p", { text: count }),
      ...news.map(([name, source]) => this.line("added", name, source)),
      ...known.map(([name, source]) => this.line("listed before", name, source)),
      ...refused.slice(0, MOST_SHOWN).map((text) => make("p", { className: "sl-add-line" }, tag("refused"), text)),
      ...(more > 0 ? [make("p", { className: "sl-quiet", text: `and ${more} more` })] : []));
    if (news.length) this.onAdded(news[0][0]);
  }

  line(what, name, source) {
    const show = make("button", { type: "button", text: name, onclick: () => this.onAdded(name, true) });
    const from = make("span", { className: "sl-quiet", text: source });
    return make("p", { className: "sl-add-line" }, tag(what), show, from);
  }
}

function isRepository(text) {
  return /^hf:/.test(text) || /^[\w-][\w.-]*\/[\w-][\w.-]*(@|\/|$)/.test(text);
}

function tag(text) { return make("span", { className: "sl-tag", text }); }

function choose(id, values) {
  return make("select", { id }, ...values.map(([value, text]) => make("option", { value, text })));
}

function field(text, input) {
  return make("label", { className: "sl-add-field", htmlFor: input.id }, make("span", { text }), input);
}
