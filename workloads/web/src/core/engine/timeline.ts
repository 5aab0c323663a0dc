import type { Entry, Position } from '../wire/entry';
import { Revisions } from './revisions';
import { Rows } from './rows';
import { EARLY_ENTRIES } from './settings';

/** What changed in a timeline: first what was added, then rows that are new. */
export class News {
  readonly appended: Entry[] = [];
  readonly older: Entry[] = [];
  readonly updated = new Set<number>();
}

/**
 * What became of an entry put in. `taken`: in the run, or was already, or lies below it. `early`: its predecessors are
 * missing. `newer`, `stale`: it belongs to another generation than the one held.
 */
export type Put = 'taken' | 'early' | 'newer' | 'stale';

/** One room's log as a client holds it: a dense run of rows, and what came before its predecessors. */
export class Timeline {
  readonly #rows = new Rows();
  readonly #early = new Map<number, Entry>();
  readonly #revisions: Revisions;
  readonly #bound: number;
  #generation = 0;
  #knownHead = 0;

  /** `viewer` is whose reactions are `mine`. */
  constructor(bound: number, viewer: string | undefined) {
    this.#bound = bound;
    this.#revisions = new Revisions(viewer);
  }

  /** Where the run ends: everything after it is still to come. */
  get position(): Position {
    return { generation: this.#generation, seq: this.#rows.head };
  }

  get generation(): number {
    return this.#generation;
  }

  get floor(): number {
    return this.#rows.floor;
  }

  get head(): number {
    return this.#rows.head;
  }

  get rows(): Iterable<Entry> {
    return this.#rows;
  }

  row(seq: number): Entry | undefined {
    return this.#rows.get(seq);
  }

  /** Whether the server is known to have entries that are not in the run. */
  get isBehind(): boolean {
    return this.#knownHead > this.head;
  }

  /** The log is known up to this position, without rows: what is older can be loaded. */
  jump(position: Position, news: News): void {
    this.restart(position.generation);
    this.#rows.restart(position.seq);
    for (const seq of this.#early.keys()) if (seq <= position.seq) this.#early.delete(seq);
    this.noteHead(position.seq);
    this.#drainEarly(news);
  }

  /** The log starts anew in this generation. */
  restart(generation: number): void {
    this.#generation = generation;
    this.#rows.restart(0);
    this.#revisions.clear();
    this.#keepGeneration();
  }

  /** The first answer names the generation of a log of which nothing was known. */
  adopt(generation: number, news: News): void {
    if (this.#generation !== 0) return;
    this.#generation = generation;
    this.#keepGeneration();
    this.#drainEarly(news);
  }

  /** What was heard of other generations says nothing about this one. */
  #keepGeneration(): void {
    this.#knownHead = 0;
    for (const [seq, entry] of this.#early) {
      if (entry.position.generation !== this.#generation) this.#early.delete(seq);
      else this.noteHead(seq);
    }
  }

  /** The server's log reaches at least this far. */
  noteHead(seq: number): void {
    this.#knownHead = Math.max(this.#knownHead, seq);
  }

  /** Takes an entry from wherever it comes. */
  put(entry: Entry, news: News): Put {
    const { generation, seq } = entry.position;
    if (this.#generation !== 0 && generation !== this.#generation) return generation > this.#generation ? 'newer' : 'stale';
    this.noteHead(seq);
    if (this.#generation === 0 || seq > this.head + 1) {
      this.#keepEarly(entry);
      return 'early';
    }
    if (seq === this.head + 1) {
      this.#append(entry, news);
      this.#drainEarly(news);
    } else {
      this.#replace(entry, news);
    }
    return 'taken';
  }

  /** Rows that end right below the run, dense and in order; others are left alone. Answers how many were taken. */
  prepend(entries: readonly Entry[], news: News): number {
    const taken: Entry[] = [];
    for (let index = entries.length - 1; index >= 0; index -= 1) {
      const entry = entries[index];
      if (!entry || entry.position.seq > this.floor || entry.position.generation !== this.#generation) continue;
      if (entry.position.seq !== this.floor || this.#rows.length >= this.#bound) break;
      this.#rows.unshift(entry);
      // Newest first, so that a target finds its changes in order whichever page they came with.
      this.#revisions.noteOlder(entry);
      taken.push(entry);
    }
    const touched = new Set<number>();
    for (const entry of taken) {
      touched.add(entry.position.seq);
      if (entry.target !== undefined) touched.add(entry.target);
    }
    for (const target of [...touched].sort((one, other) => one - other)) {
      this.#revisions.rebuild(target, this.#rows, news.updated);
    }
    for (const entry of taken.reverse()) {
      const row = this.row(entry.position.seq);
      if (row) news.older.push(row);
      news.updated.delete(entry.position.seq);
    }
    return taken.length;
  }

  #append(entry: Entry, news: News): void {
    this.#rows.push(entry);
    this.#revisions.append(entry, this.#rows, news.updated);
    news.appended.push(entry);
    while (this.#rows.length > this.#bound) {
      const gone = this.#rows.shift();
      if (gone) this.#revisions.forget(gone);
    }
  }

  #drainEarly(news: News): void {
    for (let entry = this.#early.get(this.head + 1); entry; entry = this.#early.get(this.head + 1)) {
      this.#early.delete(entry.position.seq);
      this.#append(entry, news);
    }
  }

  #keepEarly(entry: Entry): void {
    const seq = entry.position.seq;
    const held = this.#early.get(seq);
    if (held && (held.changed_seq ?? 0) >= (entry.changed_seq ?? 0)) return;
    this.#early.set(seq, entry);
    // The farthest will be fetched again: the known head remembers that it is there.
    if (this.#early.size > EARLY_ENTRIES) this.#early.delete(Math.max(...this.#early.keys()));
  }

  /** A row as history has it now wins over the one held if something changed it later. */
  #replace(entry: Entry, news: News): void {
    const held = this.row(entry.position.seq);
    if (!held || (entry.changed_seq ?? 0) <= (held.changed_seq ?? 0)) return;
    this.#rows.set(entry);
    news.updated.add(entry.position.seq);
  }
}
