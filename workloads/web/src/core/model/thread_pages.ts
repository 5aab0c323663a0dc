import type { Entry } from '../wire/entry';

interface Held {
  /** By seq. */
  readonly entries: Map<number, Entry>;
  /** The thread goes on after them. */
  more: boolean;
}

/** Entries that came with threads somebody asked for: they stand in no piece of the log. */
export class ThreadPages {
  readonly #threads = new Map<number, Held>();

  clear(): void {
    this.#threads.clear();
  }

  has(root: number): boolean {
    return this.#threads.has(root);
  }

  /** The thread was read to its end. */
  isWhole(root: number): boolean {
    return this.#threads.get(root)?.more === false;
  }

  take(root: number, entries: readonly Entry[], more: boolean): void {
    const held = this.#threads.get(root) ?? { entries: new Map<number, Entry>(), more };
    held.more = more;
    this.#threads.set(root, held);
    for (const entry of entries) held.entries.set(entry.position.seq, entry);
  }

  /** A row is now this. Answers whether it is held. */
  update(entry: Entry): boolean {
    const { seq } = entry.position;
    const entries = this.#holding(seq)?.entries;
    const held = entries?.get(seq);
    if (!held || held === entry || (held.changed_seq ?? 0) > (entry.changed_seq ?? 0)) return false;
    entries?.set(seq, entry);
    return true;
  }

  find(seq: number): Entry | undefined {
    return this.#holding(seq)?.entries.get(seq);
  }

  /** The newest entry held of a thread. */
  end(root: number): number | undefined {
    const held = this.#threads.get(root);
    return held && held.entries.size > 0 ? Math.max(...held.entries.keys()) : undefined;
  }

  #holding(seq: number): Held | undefined {
    for (const held of this.#threads.values()) if (held.entries.has(seq)) return held;
    return undefined;
  }
}
