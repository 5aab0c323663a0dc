import type { Entry } from '../wire/entry';
import { Deque } from './deque';

/** Rows `floor + 1 ..= head` of one log, dense. */
export class Rows {
  readonly #rows = new Deque<Entry>();
  /** The seq below the first row held; 0 when the log is held from its start. */
  floor = 0;

  get length(): number {
    return this.#rows.length;
  }

  get head(): number {
    return this.floor + this.#rows.length;
  }

  get(seq: number): Entry | undefined {
    return this.#rows.at(seq - this.floor - 1);
  }

  /** Replaces a row that is held. */
  set(row: Entry): void {
    this.#rows.set(row.position.seq - this.floor - 1, row);
  }

  push(row: Entry): void {
    this.#rows.push(row);
  }

  unshift(row: Entry): void {
    this.#rows.unshift(row);
    this.floor -= 1;
  }

  /** Lets the oldest go. */
  shift(): Entry | undefined {
    const gone = this.#rows.shift();
    if (gone) this.floor += 1;
    return gone;
  }

  /** Nothing is held from here on. */
  restart(floor: number): void {
    this.#rows.clear();
    this.floor = floor;
  }

  [Symbol.iterator](): Generator<Entry> {
    return this.#rows[Symbol.iterator]();
  }
}
