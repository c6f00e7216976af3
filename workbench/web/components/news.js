// Asks again and again what is new, one question at a time, none while nobody looks. Knows nothing about what is asked.

export class News {
  constructor(root, ask, seconds) {
    Object.assign(this, { root, ask, seconds });
    this.becameVisible = () => this.poll();
    document.addEventListener("visibilitychange", this.becameVisible);
  }

  isSeen() { return !document.hidden && this.root.checkVisibility(); }

  async poll() {
    clearTimeout(this.timer);
    if (this.isAsking || this.isOver) return;
    this.isAsking = true;
    if (this.isSeen()) await this.ask();
    this.isAsking = false;
    if (!this.isOver) this.timer = setTimeout(() => this.poll(), 1000 * this.seconds);
  }

  end() {
    this.isOver = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.becameVisible);
  }
}
