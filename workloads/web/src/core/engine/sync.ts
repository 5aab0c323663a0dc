import { Backoff, upTo, type Random } from './backoff';
import { CHECK_EVERY_MS, HISTORY_PAGE, STRANGER_EVERY_MS, SYNC_ENTRIES, SYNC_ENTRIES_PER_ROOM, SYNC_ROOMS } from './settings';

/** The next question: a page of the room list, or many logs. */
export type Question =
  | { readonly type: 'rooms'; readonly after: string | undefined }
  | { readonly type: 'logs'; readonly inbox: boolean; readonly rooms: readonly string[]; readonly limit: number };

/** The room list, which a client without a past reads once. */
export type List = 'read' | { readonly from: string | undefined };

/**
 * What is still to be asked of the server after a connection was made, and what is compared every few minutes. One question
 * at a time; what is wanted is remembered until it was answered to the end.
 */
export class Sync {
  list: List;
  #inbox = true;
  readonly #rooms = new Set<string>();
  /** Rises with every connection: an answer to a question of an older one proves nothing about this one. */
  #epoch = 0;
  #asking: number | undefined;
  #retryAt = 0;
  readonly #backoff = new Backoff();
  #checkAt = 0;
  #strangerAt = 0;
  #caughtUp = false;

  constructor(list: List) {
    this.list = list;
  }

  /** A connection was made. `complete`: the server promises that nothing was missed since the last one. */
  connected(rooms: Iterable<string>, complete: boolean, now: number, random: Random): void {
    this.#epoch += 1;
    this.#asking = undefined;
    this.#retryAt = now;
    this.#backoff.reset();
    this.#caughtUp = false;
    if (!complete) this.wantAll(rooms);
    this.#planCheck(now, random);
  }

  wantAll(rooms: Iterable<string>): void {
    this.#inbox = true;
    for (const room of rooms) this.#rooms.add(room);
  }

  want(room: string): void {
    this.#rooms.add(room);
  }

  wantInbox(): void {
    this.#inbox = true;
  }

  /** Something came of a room nobody invited us to: the invitation was lost, or is on its way. */
  stranger(now: number): void {
    if (this.#strangerAt > now) return;
    this.#strangerAt = now + STRANGER_EVERY_MS;
    this.#inbox = true;
  }

  forget(room: string): void {
    this.#rooms.delete(room);
  }

  wants(room: string): boolean {
    return this.#rooms.has(room);
  }

  /** Whether the regular comparison is due; plans the next. */
  checkIsDue(now: number, random: Random): boolean {
    const due = this.#checkAt <= now;
    if (due) this.#planCheck(now, random);
    return due;
  }

  #planCheck(now: number, random: Random): void {
    // Clients that came together do not check together.
    this.#checkAt = now + CHECK_EVERY_MS - upTo(CHECK_EVERY_MS / 5, random);
  }

  /** The next question, if it is time. The inbox is read to its end before the rooms of a client without a past. */
  question(now: number, inboxIsNew: boolean): Question | undefined {
    if (this.#asking !== undefined || this.#retryAt > now) return undefined;
    if (this.list !== 'read') return { type: 'rooms', after: this.list.from };
    if (!this.#inbox && this.#rooms.size === 0) return undefined;
    const rooms = this.#inbox && inboxIsNew ? [] : [...this.#rooms].sort().slice(0, SYNC_ROOMS);
    const even = Math.floor(SYNC_ENTRIES / Math.max(rooms.length, 1));
    const limit = Math.min(Math.max(even, SYNC_ENTRIES_PER_ROOM), HISTORY_PAGE);
    return { type: 'logs', inbox: this.#inbox, rooms, limit };
  }

  /** It was put. Answers the epoch. */
  asked(request: number): number {
    this.#asking = request;
    return this.#epoch;
  }

  /** An answer came to the question of this epoch. Answers whether it settles what it was about. */
  answered(request: number, epoch: number): boolean {
    if (this.#asking === request) {
      this.#asking = undefined;
      this.#backoff.reset();
    }
    return epoch === this.#epoch;
  }

  /** No answer came, or one that did not help: wait. */
  failed(request: number, hint: number | undefined, now: number, random: Random): void {
    if (this.#asking === request) this.#asking = undefined;
    if (this.#asking === undefined) this.#retryAt = now + this.#backoff.nextOr(hint, random);
  }

  settled(room: string): void {
    this.#rooms.delete(room);
  }

  inboxSettled(): void {
    this.#inbox = false;
  }

  /** Whether this was the moment in which everything missed has arrived. */
  hasJustCaughtUp(): boolean {
    const all = !this.#inbox && this.#rooms.size === 0 && this.#asking === undefined && this.list === 'read';
    const first = all && !this.#caughtUp;
    if (all) this.#caughtUp = true;
    return first;
  }

  /** Whether everything missed before this connection has arrived. */
  isCaughtUp(): boolean {
    return this.#caughtUp;
  }

  /** When the next question or comparison is due. */
  due(): number {
    const pending = this.#asking === undefined && (this.#inbox || this.#rooms.size > 0 || this.list !== 'read');
    return pending ? Math.min(this.#retryAt, this.#checkAt) : this.#checkAt;
  }
}
