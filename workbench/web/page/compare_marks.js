// Marks as the Compare tab gives them: with a way back, and with what was not saved kept until it is.
// Knows nothing about elements; saving in order is the grid's (`mark(key, change)` ends when it is saved or lost).

export class MarksGiven {
  // `told({text, isLost})` hears what is to be said of it.
  constructor({ of, mark, told }) {
    Object.assign(this, { of, mark, told });
    this.forget();
  }

  forget() {
    this.past = []; // {key, before}, the last one last
    this.underway = new Map(); // key -> {count, change}
    this.lost = []; // {key, change}
  }

  get isUnsaved() { return this.underway.size + this.lost.length > 0; }

  give(key, change) {
    const mark = this.of(key);
    const before = Object.fromEntries(Object.keys(change).map((name) => [name, mark[name] ?? EMPTY[name]]));
    this.past.push({ key, before });
    return this.save(key, change);
  }

  // Says again what was so before; answers the key that it is about.
  undo() {
    const last = this.past.pop();
    if (last) this.save(last.key, last.before);
    this.say(last ? "Taken back." : "Nothing to undo.");
    return last?.key;
  }

  // What is lost goes before any other word.
  say(text = "") {
    const isLost = this.lost.length > 0;
    this.told({ text: isLost ? "Not saved." : text, isLost });
  }

  retry() {
    const again = this.lost;
    this.lost = [];
    this.say();
    for (const { key, change } of again) this.save(key, change);
  }

  // What a picture's mark does not say after all of its changes were saved was lost.
  async save(key, change) {
    this.lost = this.lost.map((each) => (each.key === key ? { key, change: without(each.change, change) } : each));
    this.lost = this.lost.filter((each) => Object.keys(each.change).length);
    const underway = this.underway.get(key) ?? { count: 0, change: {} };
    underway.count++;
    Object.assign(underway.change, change);
    this.underway.set(key, underway);
    await this.mark(key, change);
    if (--underway.count || this.underway.get(key) !== underway) return;
    this.underway.delete(key);
    const now = this.of(key);
    const lost = Object.entries(underway.change).filter(([name, value]) => !isSaid(value, now[name] ?? EMPTY[name]));
    if (!lost.length) return;
    this.lost.push({ key, change: Object.fromEntries(lost) });
    this.say();
  }
}

const EMPTY = { pick: "none", stars: 0, faults: [], remark: "" };

function without(lost, change) {
  return Object.fromEntries(Object.entries(lost).filter(([name]) => !Object.hasOwn(change, name)));
}

function isSaid(value, now) {
  return Array.isArray(value) ? [...value].sort().join() === [...now].sort().join() : value === now;
}
