import { Deque } from '../engine/deque';
import type { Entry } from '../wire/entry';

/** Entries that make no row of their own: they change others, or are nothing to read. */
const HIDDEN = new Set(['edit', 'delete', 'reaction', 'mls', 'to_device']);

export function isShown(entry: Entry): boolean {
  return !HIDDEN.has(entry.kind);
}

/** Everything between `floor` (exclusive) and `head` is held; `rows` are those entries that are shown. */
export interface Run {
  floor: number;
  head: number;
  readonly rows: Deque<Entry>;
}

/** What lies between two runs is not held: everything in `head < seq <= floor`. */
export interface Gap {
  readonly head: number;
  readonly floor: number;
}

/** Dense pieces of one room's log, apart from each other, in order; the last one is live. */
export class Runs {
  readonly #runs: Run[] = [];
  readonly #isShown: (entry: Entry) => boolean;

  constructor(shown: (entry: Entry) => boolean = isShown) {
    this.#isShown = shown;
  }

  get all(): readonly Run[] {
    return this.#runs;
  }

  get live(): Run | undefined {
    return this.#runs.at(-1);
  }

  /** Rows, and one for each gap. */
  get places(): number {
    let places = Math.max(0, this.#runs.length - 1);
    for (const run of this.#runs) places += run.rows.length;
    return places;
  }

  /** What stands at this place, which is none below 0. */
  at(index: number): Entry | Gap | undefined {
    let place = index;
    for (const [number, run] of this.#runs.entries()) {
      const above = this.#runs[number - 1];
      if (above) {
        if (place === 0) return { head: above.head, floor: run.floor };
        place -= 1;
      }
      if (place < run.rows.length) return run.rows.at(place);
      place -= run.rows.length;
    }
    return undefined;
  }

  /** The place of the first row with at least this seq; a gap that holds it counts. */
  indexFrom(seq: number): number {
    let index = 0;
    for (const [number, run] of this.#runs.entries()) {
      if (number > 0) {
        if (seq <= run.floor) return index;
        index += 1;
      }
      if (seq <= run.head) return index + placeOf(run.rows, seq);
      index += run.rows.length;
    }
    return index;
  }

  /** Drops everything; the live run starts after this seq. */
  restart(floor: number): void {
    this.#runs.length = 0;
    this.#runs.push({ floor, head: floor, rows: new Deque() });
  }

  /** New entries at the end. Answers how many rows they make. */
  append(entries: readonly Entry[]): number {
    const { live } = this;
    let shown = 0;
    for (const entry of entries) {
      if (!live || entry.position.seq <= live.head) continue;
      live.head = entry.position.seq;
      if (!this.#isShown(entry)) continue;
      live.rows.push(entry);
      shown += 1;
    }
    return shown;
  }

  /**
   * A dense page: everything in `floor < seq <= head`. Joins the pieces it touches; newer rows win. Answers the shown rows
   * put before everything held.
   */
  insert(floor: number, head: number, entries: readonly Entry[]): number {
    const first = this.#runs[0]?.floor ?? 0;
    const before = this.#countThrough(first);
    const touching = this.#runs.filter((run) => run.floor <= head && run.head >= floor);
    if (touching.length === 0) {
      const rows = new Deque<Entry>();
      for (const entry of entries) if (this.#isShown(entry)) rows.push(entry);
      const place = this.#runs.findIndex((run) => run.floor > head);
      this.#runs.splice(place < 0 ? this.#runs.length : place, 0, { floor, head, rows });
    } else {
      this.#join(touching, floor, head, entries);
    }
    return this.#countThrough(first) - before;
  }

  /** The last of the touched ones grows at its front, so the live run, which may be long, is never copied. */
  #join(touching: readonly Run[], floor: number, head: number, entries: readonly Entry[]): void {
    const last = touching.at(-1) as Run;
    const covered = (seq: number): boolean => touching.some((run) => seq > run.floor && seq <= run.head);
    for (const entry of entries) if (covered(entry.position.seq)) this.update(entry);
    const fresh = entries.filter((entry) => !covered(entry.position.seq) && this.#isShown(entry));
    const below: Entry[] = [];
    for (const run of touching) if (run !== last) below.push(...run.rows);
    below.push(...fresh.filter((entry) => entry.position.seq <= last.floor));
    below.sort((one, other) => one.position.seq - other.position.seq);
    for (const entry of below.reverse()) last.rows.unshift(entry);
    for (const entry of fresh) if (entry.position.seq > last.head) last.rows.push(entry);
    last.floor = Math.min(floor, ...touching.map((run) => run.floor));
    last.head = Math.max(head, last.head);
    for (const run of touching) if (run !== last) this.#runs.splice(this.#runs.indexOf(run), 1);
  }

  /** A row is now this. Answers whether it is held. */
  update(entry: Entry): boolean {
    const { seq } = entry.position;
    for (const run of this.#runs) {
      if (seq <= run.floor || seq > run.head) continue;
      const place = placeOf(run.rows, seq);
      const held = run.rows.at(place);
      if (held?.position.seq !== seq) return false;
      if (held === entry || (held.changed_seq ?? 0) > (entry.changed_seq ?? 0)) return false;
      run.rows.set(place, entry);
      return true;
    }
    return false;
  }

  find(seq: number): Entry | undefined {
    for (const run of this.#runs) {
      const entry = run.rows.at(placeOf(run.rows, seq));
      if (entry?.position.seq === seq) return entry;
    }
    return undefined;
  }

  /** Whether everything around this seq is held, so that its absence means something. */
  covers(seq: number): boolean {
    return this.#runs.some((run) => seq > run.floor && seq <= run.head);
  }

  /** Lets the oldest rows go; the live run's last ones stay. */
  trim(most: number): void {
    let held = 0;
    for (const run of this.#runs) held += run.rows.length;
    while (held > most) {
      const run = this.#runs[0] as Run;
      if (this.#runs.length > 1) {
        held -= run.rows.length;
        this.#runs.shift();
        continue;
      }
      const gone = run.rows.shift();
      if (!gone) return;
      run.floor = gone.position.seq;
      held -= 1;
    }
  }

  /** Rows of runs that lie wholly before this seq's place. */
  #countThrough(seq: number): number {
    let count = 0;
    for (const run of this.#runs) count += run.head <= seq ? run.rows.length : placeOf(run.rows, seq + 1);
    return count;
  }
}

/** The first place whose row has at least this seq. */
export function placeOf(rows: Deque<Entry>, seq: number): number {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows.at(middle)?.position.seq ?? 0) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
