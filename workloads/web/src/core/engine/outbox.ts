import type { Draft } from '../wire/entry';
import type { Random } from './backoff';
import { Queue, type Item } from './outbox_queue';
import { Pace } from './pace';
import { FAILED_MESSAGES, OUTBOX_MESSAGES } from './settings';

export type { Item } from './outbox_queue';

export interface Refusal {
  readonly code: string;
  readonly detail: string;
  readonly retryable: boolean;
  readonly retry_after_ms?: number;
}

/** A message refused for good. */
export interface Failed {
  readonly item: Item;
  readonly refusal: Refusal;
}

/**
 * What became of a refusal. `again`: it will be sent again. `parked`: kept for the user. `unknown`: nothing that is still
 * here. `stuck`: the gateway waits for an id that will not come again, only a new connection ends that.
 */
export type Refusing = 'again' | 'parked' | 'unknown' | 'stuck';

/**
 * Messages on their way: one queue a room, so that a room is fed a gapless prefix in the order it was said. A retryable
 * refusal, a broken connection or a long silence makes sent ones wait again, from the one concerned on; the server knows
 * repeats by id.
 */
export class Outbox {
  readonly #rooms = new Map<string, Queue>();
  #failed: Failed[] = [];
  #orders = 0;
  #messages = 0;
  #inFlight = 0;
  #inFlightMost = 0;
  #holdUntil = 0;
  readonly #pace = new Pace();
  /**
   * Rooms in which a refused id will not come again on this connection, as its message is stored or given up, and since
   * when. A gateway may wait for it all the same.
   */
  readonly #awaited = new Map<string, number>();

  /** Takes a message; undefined when there is no room for it, or it is there already. */
  push(room: string, messageId: string, draft: Draft, more: { session?: string | undefined; awaits?: string | undefined; old?: boolean } = {}): Item | undefined {
    const known = this.#rooms.get(room);
    if (this.#messages >= OUTBOX_MESSAGES || (known && known.place(messageId) >= 0)) return undefined;
    this.#orders += 1;
    this.#messages += 1;
    const item: Item = {
      messageId,
      room,
      draft,
      awaits: more.awaits,
      session: more.session,
      order: this.#orders,
      sentAt: 0,
      mayBeStored: more.old ?? false,
      stirred: 0,
      refusedHere: false,
      alone: false,
    };
    const queue = known ?? new Queue();
    if (!known) this.#rooms.set(room, queue);
    queue.items.push(item);
    return item;
  }

  /** A new connection with these limits. */
  connected(inFlight: number, perSecond: number): void {
    this.#inFlightMost = Math.max(inFlight, 1);
    this.#pace.set(perSecond);
    this.#holdUntil = 0;
  }

  /** Nothing that was sent counts as sent any more. */
  disconnected(): void {
    this.#inFlight = 0;
    this.#awaited.clear();
    for (const queue of this.#rooms.values()) {
      for (const item of queue.items) item.refusedHere = false;
      queue.sent = 0;
      queue.holdUntil = 0;
      queue.silences = 0;
    }
  }

  /** What may leave now, the oldest first; it counts as sent. `fresh`: some of it never left before. */
  pump(now: number, session: string | undefined): { readonly leaving: Item[]; readonly fresh: boolean } {
    const leaving: Item[] = [];
    let fresh = false;
    if (this.#holdUntil > now) return { leaving, fresh };
    const open = [...this.#rooms.values()].filter((queue) => queue.holdUntil <= now && queue.next());
    // Rooms are few and sorted once; each turn moves one of them to its new place.
    open.sort((one, other) => orderOf(one) - orderOf(other));
    for (let queue = open.shift(); queue; queue = open.shift()) {
      if (this.#inFlight >= this.#inFlightMost || this.#pace.readyAt() > now) break;
      const item = queue.next();
      if (!item) continue;
      item.session ??= session;
      item.sentAt = now;
      item.stirred = now;
      if (!item.mayBeStored) fresh = true;
      item.mayBeStored = true;
      leaving.push(item);
      queue.sent += 1;
      this.#inFlight += 1;
      this.#pace.sent(now);
      if (!queue.next()) continue;
      const order = orderOf(queue);
      const place = open.findIndex((other) => orderOf(other) > order);
      open.splice(place < 0 ? open.length : place, 0, queue);
    }
    return { leaving, fresh };
  }

  /** When something may leave, or an answer is overdue. */
  due(): number | undefined {
    const gate = Math.max(this.#holdUntil, this.#pace.readyAt());
    let due: number | undefined;
    const note = (at: number | undefined): void => {
      if (at !== undefined && (due === undefined || at < due)) due = at;
    };
    for (const queue of this.#rooms.values()) {
      if (this.#inFlight < this.#inFlightMost && queue.next()) note(Math.max(queue.holdUntil, gate));
      note(queue.answerBy());
    }
    return due;
  }

  /** It is in the log. Answers the message the first time. */
  acknowledge(room: string, messageId: string, now: number): Item | undefined {
    const queue = this.#rooms.get(room);
    const place = queue?.place(messageId) ?? -1;
    if (!queue || place < 0) return this.#unpark(messageId)?.item;
    queue.silences = 0;
    queue.backoff.reset();
    const sent = place < queue.sent;
    const item = this.#take(queue, place);
    const since = this.#awaited.get(room);
    // A later one has passed.
    if (sent && since !== undefined && since < item.sentAt) this.#awaited.delete(room);
    else if (!sent && item.refusedHere) this.#awaited.set(room, now);
    return item;
  }

  /** Those that waited for this message to be stored have their target now. */
  resolve(room: string, messageId: string, seq: number): Item[] {
    const resolved = (this.#rooms.get(room)?.items ?? []).filter((item) => item.awaits === messageId);
    for (const item of resolved) {
      item.awaits = undefined;
      item.draft = { ...item.draft, target: seq };
    }
    return resolved;
  }

  /** Those that waited for a message that will never be stored. They are gone. */
  dropDependents(room: string, messageId: string): Item[] {
    const queue = this.#rooms.get(room);
    const lost = (queue?.items ?? []).filter((item) => item.awaits === messageId);
    for (const item of lost) if (queue) this.#take(queue, queue.place(item.messageId));
    return lost;
  }

  /** A sign of life for a message that is on its way. */
  stir(messageId: string, now: number): void {
    // Accepted frames come in the order sent, so the first item is nearly always the one.
    for (const queue of this.#rooms.values()) {
      for (let place = 0; place < queue.sent; place += 1) {
        const item = queue.items[place];
        if (item?.messageId !== messageId) continue;
        item.stirred = now;
        return;
      }
    }
  }

  /** A refusal: a final one parks this message alone, a retryable one holds the room from this message on. */
  refused(room: string, messageId: string, refusal: Refusal, now: number, random: Random): Refusing {
    const queue = this.#rooms.get(room);
    const place = queue?.place(messageId) ?? -1;
    const item = queue?.items[place];
    if (!queue || !item) {
      if (refusal.retryable) this.#awaited.set(room, now);
      return 'unknown';
    }
    if (!refusal.retryable) {
      this.#park({ item: this.#take(queue, place), refusal });
      return 'parked';
    }
    item.refusedHere = true;
    const since = this.#awaited.get(room);
    if (refusal.code === 'busy' && place < queue.sent && since !== undefined && since < item.sentAt) return 'stuck';
    if (place < queue.sent) {
      this.#inFlight -= queue.sent - place;
      queue.sent = place;
    }
    const wait = queue.backoff.nextOr(refusal.retry_after_ms, random);
    queue.holdUntil = Math.max(queue.holdUntil, now + wait);
    // This limit is the user's, not the room's.
    if (refusal.code === 'rate_limited') this.#holdUntil = Math.max(this.#holdUntil, now + wait);
    return 'again';
  }

  /** `busy`: nothing more leaves for this room, or at all, for so long. */
  hold(room: string | undefined, until: number, now: number): void {
    if (room === undefined) {
      this.#holdUntil = Math.max(this.#holdUntil, until);
      return;
    }
    const queue = this.#rooms.get(room);
    if (!queue) return;
    queue.holdUntil = Math.max(queue.holdUntil, until);
    const oldest = queue.items[0];
    if (oldest) oldest.stirred = now;
  }

  /** Sent ones that nobody answered for long wait to be sent again. */
  checkSilence(now: number): void {
    for (const queue of this.#rooms.values()) {
      const by = queue.answerBy();
      if (by === undefined || by > now) continue;
      this.#inFlight -= queue.sent;
      queue.sent = 0;
      queue.silences += 1;
    }
  }

  /** A parked message goes to the end of its room's queue. */
  retry(messageId: string): Item | undefined {
    const failed = this.#unpark(messageId);
    if (!failed) return undefined;
    const { room, draft, session } = failed.item;
    const item = this.push(room, messageId, draft, { session, old: true });
    if (item) item.alone = true;
    else this.#park(failed);
    return item;
  }

  /** Another text for a message that has never left. False: it may be stored by now. */
  revise(messageId: string, draft: (old: Draft) => Draft): boolean {
    const item = this.find(messageId);
    if (!item || item.mayBeStored) return false;
    item.draft = draft(item.draft);
    return true;
  }

  /** The user gives a message up. Answers it if it was there. */
  discard(messageId: string, now: number): Item | undefined {
    const parked = this.#unpark(messageId);
    if (parked) return parked.item;
    for (const [room, queue] of this.#rooms) {
      const place = queue.place(messageId);
      if (place < 0) continue;
      const sent = place < queue.sent;
      const item = this.#take(queue, place);
      if (sent || item.refusedHere) this.#awaited.set(room, now);
      return item;
    }
    return undefined;
  }

  find(messageId: string): Item | undefined {
    for (const queue of this.#rooms.values()) {
      const item = queue.items[queue.place(messageId)];
      if (item) return item;
    }
    return undefined;
  }

  /** Parks a message that an earlier life knows as refused. */
  restoreParked(room: string, messageId: string, draft: Draft, session: string | undefined, refusal: Refusal): void {
    const item: Item = { messageId, room, draft, session, awaits: undefined, order: 0, sentAt: 0, mayBeStored: true, stirred: 0, refusedHere: false, alone: false };
    this.#park({ item, refusal });
  }

  /** Whether a message of this room might be ours. */
  has(room: string): boolean {
    return this.#rooms.has(room) || this.#failed.length > 0;
  }

  /** How many wait or are on their way. */
  get length(): number {
    return this.#messages;
  }

  /** All that wait or are on their way, in the order said. */
  unsettled(): Item[] {
    const all: Item[] = [];
    for (const queue of this.#rooms.values()) all.push(...queue.items);
    return all.sort((one, other) => one.order - other.order);
  }

  /** All that were refused for good. */
  parked(): readonly Failed[] {
    return this.#failed;
  }

  #park(failed: Failed): void {
    this.#failed.push(failed);
    if (this.#failed.length > FAILED_MESSAGES) this.#failed.shift();
  }

  #unpark(messageId: string): Failed | undefined {
    const found = this.#failed.find((failed) => failed.item.messageId === messageId);
    if (found) this.#failed = this.#failed.filter((failed) => failed !== found);
    return found;
  }

  #take(queue: Queue, place: number): Item {
    const [item] = queue.items.splice(place, 1) as [Item];
    this.#messages -= 1;
    if (place < queue.sent) {
      queue.sent -= 1;
      this.#inFlight -= 1;
    }
    if (queue.items.length === 0) this.#rooms.delete(item.room);
    return item;
  }
}

function orderOf(queue: Queue): number {
  return queue.next()?.order ?? Number.MAX_SAFE_INTEGER;
}
