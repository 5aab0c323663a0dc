import { rootOf, Threads } from '../engine/threads';
import { needsTarget, type Entry } from '../wire/entry';
import type { GapRow, MessageRow, Replies, Row, Thread, Timeline } from '../interface';
import { ClientError } from '../error';
import { Cell, Cells, type Batch } from './cell';
import type { OpenedRoom, Piece } from './news';
import { repliesOf, rowOfEntry, rowOfWaiting, type Reader, type Waiting } from './row';
import { isShown, placeOf, Runs } from './runs';
import { ThreadPages } from './thread_pages';

/** Rows one room holds in a tab: the budget of 100,000 and some to scroll in. */
const ROWS = 120_000;

/** One room's rows in one tab: pieces of the log, gaps between them, own unsent messages at the end. */
export class RoomTimeline {
  readonly room: string;
  readonly #viewer: () => Reader;
  readonly #runs: Runs;
  /** Messages of the outbox, in the order said; changes of others by their seq or message id. */
  #waiting: Waiting[] = [];
  readonly #changes = new Map<number | string, Waiting[]>();
  /** The row made last of an entry. */
  readonly #rows = new WeakMap<object, Row>();
  #expiring = new Map<number, number>();
  readonly #answers = new Threads();
  readonly #pages = new ThreadPages();
  #generation = 0;
  #opened = false;
  #prepended = 0;
  #appended = 0;
  #resets = 0;
  #loadingOlder = false;
  #error: ClientError | undefined;
  readonly timeline: Cell<Timeline>;
  readonly threads: Cells<Thread>;

  /** `hides`: entries that make no row in this room. */
  constructor(room: string, batch: Batch, viewer: () => Reader, hides: (entry: Entry) => boolean = () => false) {
    this.room = room;
    this.#runs = new Runs((entry) => isShown(entry) && !hides(entry));
    this.#viewer = viewer;
    this.timeline = new Cell(batch, () => this.#view());
    this.threads = new Cells((root) => new Cell(batch, () => this.#thread(Number(root))));
  }

  get isOpened(): boolean {
    return this.#opened;
  }

  get generation(): number {
    return this.#generation;
  }

  /** The piece of the log that is live, the pieces before it. */
  pieces(): Piece[] {
    return this.#runs.all.map(({ floor, head, rows }) => ({ floor, head, entries: [...rows] }));
  }

  opened({ generation, pieces }: OpenedRoom): void {
    if (this.#opened) this.#resets += 1;
    this.#opened = true;
    this.#generation = generation;
    this.#answers.clear();
    const live = pieces.at(-1);
    this.#runs.restart(live?.head ?? 0);
    for (const piece of [...pieces].reverse()) this.#insert(piece);
    this.#touch();
  }

  append(entries: readonly Entry[]): void {
    if (!this.#opened) return;
    const last = entries.at(-1);
    if (this.#generation === 0 && last) this.#generation = last.position.generation;
    this.#appended += this.#runs.append(entries);
    for (const entry of entries) this.#note(entry);
    this.#runs.trim(ROWS);
    this.#touch();
  }

  older(entries: readonly Entry[]): void {
    const [first] = entries;
    const last = entries.at(-1);
    if (!this.#opened || !first || !last) return;
    this.#prepended += this.#insert({ floor: first.position.seq - 1, head: last.position.seq, entries });
    this.#touch();
  }

  page(generation: number, piece: Piece, from: 'below' | 'above'): void {
    if (!this.#opened || generation !== this.#generation) return;
    const before = this.#insert(piece);
    if (from === 'below') this.#prepended += before;
    this.#touch();
  }

  update(entry: Entry): void {
    if (!this.#opened) return;
    const inPages = this.#pages.update(entry);
    if (!this.#runs.update(entry) && !inPages) return;
    const root = rootOf(entry);
    if (root !== undefined) this.#renewRoot(root);
    this.#touch();
  }

  /** How far a thread was seen has changed. */
  threadRead(root: number): void {
    this.#renewRoot(root);
    this.#touch();
  }

  /** A page of a thread. */
  threadPage(root: number, entries: readonly Entry[], more: boolean): void {
    this.#pages.take(root, entries, more);
    for (const entry of entries) this.#answers.note(entry);
    this.#renewRoot(root);
    this.#touch();
  }

  /** The newest entry of a thread that was asked for. */
  threadEnd(root: number): number | undefined {
    return this.#pages.end(root);
  }

  restart(generation: number, floor: number): void {
    if (!this.#opened) return;
    this.#generation = generation;
    this.#answers.clear();
    this.#pages.clear();
    this.#runs.restart(floor);
    this.#resets += 1;
    this.#touch();
  }

  setLoadingOlder(loading: boolean, error: ClientError | undefined): void {
    this.#loadingOlder = loading;
    this.#error = error;
    this.#touch();
  }

  /** Everything of this room that waits in the outbox, in the order said. */
  setWaiting(all: readonly Waiting[]): void {
    this.#waiting = all.filter(({ draft }) => !needsTarget(draft.kind));
    const former = [...this.#changes.keys()];
    this.#changes.clear();
    for (const change of all) {
      if (!needsTarget(change.draft.kind)) continue;
      const key = change.awaits ?? change.draft.target ?? 0;
      this.#changes.set(key, [...(this.#changes.get(key) ?? []), change]);
    }
    for (const key of [...former, ...this.#changes.keys()]) {
      const entry = typeof key === 'number' ? this.#entry(key) : undefined;
      if (entry) this.#rows.delete(entry);
    }
    this.#touch();
  }

  /** Rows whose time is up are made anew. Answers whether there will be more. */
  expire(now: number): boolean {
    for (const [seq, at] of this.#expiring) {
      if (at > now) continue;
      this.#expiring.delete(seq);
      const entry = this.#entry(seq);
      if (!entry) continue;
      this.#rows.delete(entry);
      this.#touch();
    }
    return this.#expiring.size > 0;
  }

  find(seq: number): Entry | undefined {
    return this.#entry(seq);
  }

  /** The seq of a stored message of ours; the latest are looked through. */
  seqOf(messageId: string): number | undefined {
    const rows = this.#runs.live?.rows;
    for (let place = (rows?.length ?? 0) - 1, left = 1_000; place >= 0 && left > 0; place -= 1, left -= 1) {
      const entry = rows?.at(place);
      if (entry?.message_id === messageId) return entry.position.seq;
    }
    return undefined;
  }

  /** The ordinal at this seq, if the rows around it are held. */
  ordinalAt(seq: number): number | undefined {
    const run = this.#runs.all.find(({ floor, head }) => seq > floor && seq <= head);
    if (!run) return undefined;
    return run.rows.at(placeOf(run.rows, seq + 1) - 1)?.ordinal;
  }

  /** Whether this row is held, or known not to be shown. */
  covers(seq: number): boolean {
    return this.#runs.covers(seq);
  }

  /** A row changed that lies in a piece apart from the live one: only the server knows how it stands now. */
  isApart(seq: number): boolean {
    const { live } = this.#runs;
    return live !== undefined && seq <= live.floor && this.#runs.covers(seq);
  }

  /** A row changed that only the panel of its thread holds: no log tells how it stands now. */
  isInPanel(seq: number): boolean {
    return !this.#runs.covers(seq) && this.#pages.find(seq) !== undefined;
  }

  touch(): void {
    this.#touch();
  }

  #touch(): void {
    this.timeline.touch();
    this.threads.touchAll();
  }

  #insert(piece: Piece): number {
    for (const entry of piece.entries) this.#note(entry);
    return this.#runs.insert(piece.floor, piece.head, piece.entries);
  }

  #note(entry: Entry): void {
    const root = this.#answers.note(entry);
    if (root !== undefined) this.#renewRoot(root);
    if (entry.expires_at !== undefined) this.#expiring.set(entry.position.seq, Date.parse(entry.expires_at));
  }

  /** The row of a thread's first message is made anew. */
  #renewRoot(root: number): void {
    const entry = this.#entry(root);
    if (entry) this.#rows.delete(entry);
  }

  /** An entry, in whatever piece, or from when its thread was asked for. */
  readonly #entry = (seq: number): Entry | undefined => this.#runs.find(seq) ?? this.#pages.find(seq);

  /** Everything after a live row is held; else the thread must have been read to its end. */
  #isComplete(root: number): boolean {
    const { live } = this.#runs;
    return (live !== undefined && root > live.floor) || this.#pages.isWhole(root);
  }

  #repliesOf(entry: Entry, reader: Reader): Replies | undefined {
    const root = entry.position.seq;
    if (!this.#answers.has(root)) return undefined;
    const answers = this.#answers.answers(root, this.#entry);
    return answers.length > 0 ? repliesOf(entry, answers, this.#isComplete(root), reader) : undefined;
  }

  #view(): Timeline {
    const runs = this.#runs.all;
    const first = runs[0];
    const length = this.#runs.places + this.#waiting.length;
    return {
      room: this.room,
      length,
      row: this.#row,
      indexOf: this.#indexOf,
      indexAfter: this.#indexAfter,
      prepended: this.#prepended,
      appended: this.#appended,
      resets: this.#resets,
      hasOlder: (first?.floor ?? 0) > 0,
      loadingOlder: this.#loadingOlder,
      loading: !this.#opened || (this.#generation === 0 && this.#waiting.length === 0) || (length === 0 && (first?.floor ?? 0) > 0),
      ...(this.#error && { error: this.#error }),
    };
  }

  readonly #row = (index: number): Row | undefined => {
    if (index < 0) return undefined;
    const { places } = this.#runs;
    if (index >= places) {
      const waiting = this.#waiting[index - places];
      return waiting && this.#rowOfWaiting(waiting);
    }
    const held = this.#runs.at(index);
    return held && ('floor' in held ? gapBetween(held.head, held.floor) : this.#rowOf(held));
  };

  readonly #indexOf = (seq: number): number => {
    const index = this.#runs.indexFrom(seq);
    const row = this.#row(index);
    return row && row.type !== 'gap' && row.seq === seq ? index : -1;
  };

  readonly #indexAfter = (seq: number): number => {
    const index = this.#runs.indexFrom(seq + 1);
    const row = this.#row(index);
    if (row?.type === 'gap') return row.after <= seq ? -1 : index;
    return row && row.seq !== undefined ? index : -1;
  };

  #rowOf(entry: Entry): Row {
    const made = this.#rows.get(entry);
    if (made) return made;
    const viewer = this.#viewer();
    const row = rowOfEntry(entry, this.#changes.get(entry.position.seq) ?? [], viewer, this.#repliesOf(entry, viewer));
    this.#rows.set(entry, row);
    return row;
  }

  #rowOfWaiting(waiting: Waiting): MessageRow {
    const made = this.#rows.get(waiting);
    if (made) return made as MessageRow;
    const { messageId, storedSeq = messageId } = waiting;
    const row = rowOfWaiting(waiting, this.#changes.get(storedSeq) ?? [], this.#viewer());
    this.#rows.set(waiting, row);
    return row;
  }

  #thread(root: number): Thread {
    const first = this.#entry(root);
    const head = first && this.#rowOf(first);
    const answers = this.#answers.all(root, this.#entry).map((entry) => this.#rowOf(entry));
    const waiting = this.#waiting.filter(({ draft }) => draft.thread === root).map((one) => this.#rowOfWaiting(one));
    const complete = this.#isComplete(root);
    return {
      ...(head?.type === 'message' && { root: head }),
      rows: [...answers.filter((row) => row.type === 'message'), ...waiting],
      loading: !complete && !this.#pages.has(root),
      more: !complete,
    };
  }
}

const gaps = new Map<string, GapRow>();

/** The same object for the same gap, so that its row is not drawn again. */
function gapBetween(after: number, floor: number): GapRow {
  const key = `gap-${after}-${floor}`;
  let gap = gaps.get(key);
  if (!gap) {
    if (gaps.size > 1_000) gaps.clear();
    gaps.set(key, (gap = { type: 'gap', key, after, before: floor + 1 }));
  }
  return gap;
}
