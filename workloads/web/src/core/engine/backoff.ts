/** A number from 0 up to, not including, 1. */
export type Random = () => number;

/** A whole number from 0 to `most`, both included. */
export function upTo(most: number, random: Random): number {
  return Math.floor(random() * (most + 1));
}

/** Ceilings of the first wait and of all, ms (wire contract). */
const FIRST_MS = 500;
const MOST_MS = 30_000;
/** Doublings after which the ceiling is reached. */
const DOUBLINGS = 6;

/** Full jitter: each wait is drawn from nothing to a ceiling that doubles, so that clients cut off together come back apart. */
export class Backoff {
  #tries = 0;

  next(random: Random): number {
    const ceiling = Math.min(FIRST_MS * 2 ** Math.min(this.#tries, DOUBLINGS), MOST_MS);
    this.#tries += 1;
    return upTo(ceiling, random);
  }

  /** The server's hint if it gave one, else the next wait. */
  nextOr(hint: number | undefined, random: Random): number {
    if (hint === undefined) return this.next(random);
    this.#tries += 1;
    return hint;
  }

  /** It worked: the next wait is a first one. */
  reset(): void {
    this.#tries = 0;
  }
}
