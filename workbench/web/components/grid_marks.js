// What is thought of pictures, by key: shown at once, saved one after the other in the order of the keys pressed.
// Knows nothing about cells, elements or where marks are kept.
// A mark: {pick: "pick", "reject" or "none", stars: 0 to 5}.

export const NO_MARK = Object.freeze({ pick: "none", stars: 0 });

export class Marks {
  // `save(key, change)` answers the whole mark as it is kept now; `changed(keys)` and `said(problem)` are told.
  constructor({ save, changed, said }) {
    Object.assign(this, { save, changed, said });
    this.all = new Map();
    this.unsaved = new Map(); // key -> {count of presses under way, the mark that is kept}
    this.saving = Promise.resolve();
  }

  of(key) { return this.all.get(key) ?? NO_MARK; }

  // All marks as they are kept, another browser's too; those with a press of ours under way stay as they are shown.
  take(kept) {
    const keys = new Set([...this.all.keys(), ...Object.keys(kept)]);
    const isNews = (key) => !this.unsaved.has(key) && !isSame(this.of(key), kept[key] ?? NO_MARK);
    const news = [...keys].filter(isNews);
    for (const key of news) this.all.set(key, kept[key] ?? NO_MARK);
    if (news.length) this.changed(news);
  }

  // Says `change` of a picture; what could not be saved is taken back.
  say(key, change) {
    const unsaved = this.unsaved.get(key) ?? { count: 0, kept: this.of(key) };
    unsaved.count++;
    this.unsaved.set(key, unsaved);
    this.show(key, { ...this.of(key), ...change });
    this.saving = this.saving.then(() => this.save(key, change)).then(
      (mark) => { unsaved.kept = mark; this.said(""); },
      (error) => this.said(`The mark was not saved: ${error.message ?? error}. Press the key again.`),
    ).then(() => {
      unsaved.count--;
      if (unsaved.count) return;
      this.unsaved.delete(key);
      this.show(key, unsaved.kept);
    });
    return this.saving;
  }

  show(key, mark) {
    const isOther = !isSame(this.of(key), mark);
    this.all.set(key, mark);
    if (isOther) this.changed([key]);
  }
}

function isSame(one, other) {
  const seen = ({ at: _, ...mark }) => JSON.stringify(Object.entries({ ...NO_MARK, ...mark }).sort());
  return seen(one) === seen(other);
}
