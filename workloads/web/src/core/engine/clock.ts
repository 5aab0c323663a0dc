/** The engine's own time, ms. It comes from outside and may jump; inside it never goes back. */
export class Clock {
  #last = 0;
  /** What was lost by steps back: inside = outside + behind. */
  #behind = 0;

  advance(outside: number): number {
    const inside = outside + this.#behind;
    if (inside < this.#last) this.#behind += this.#last - inside;
    else this.#last = inside;
    return this.#last;
  }

  /** When the outside clock will show this inside time. */
  outside(inside: number): number {
    return Math.max(0, inside - this.#behind);
  }
}
