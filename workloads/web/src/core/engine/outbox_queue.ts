import type { Draft } from '../wire/entry';
import { Backoff } from './backoff';
import { ANSWER_MOST_MS, ANSWER_MS } from './settings';

/** One message on its way. */
export interface Item {
  readonly messageId: string;
  readonly room: string;
  draft: Draft;
  /** The message this changes, while its seq is not known: it waits for that one to be stored. */
  awaits: string | undefined;
  /** The session it was first sent by; what another session sends again is stored under the first. */
  session: string | undefined;
  readonly order: number;
  /** When it last left; 0: never, on no connection. */
  sentAt: number;
  /** It may have left in an earlier life. */
  mayBeStored: boolean;
  /** Last sign of life of it: sent, accepted, held. */
  stirred: number;
  /** Refused on this connection, to be tried again: its gateway refuses the room's later ones until this id comes. */
  refusedHere: boolean;
  /**
   * Refused for good before and said again: it travels alone, as a service that remembers the refusal would let what
   * follows pass at once, before what went ahead.
   */
  alone: boolean;
}

/** A room's messages: those sent on this connection first, those waiting after them. */
export class Queue {
  readonly items: Item[] = [];
  /** How many at the front were sent on this connection. */
  sent = 0;
  holdUntil = 0;
  readonly backoff = new Backoff();
  silences = 0;

  /** The oldest of those sent should be answered by then; whatever happens to later ones says nothing of it. */
  answerBy(): number | undefined {
    const oldest = this.items[0];
    if (!oldest || this.sent === 0) return undefined;
    return oldest.stirred + Math.min(ANSWER_MS * 2 ** Math.min(this.silences, 4), ANSWER_MOST_MS);
  }

  /** What may be sent next, as far as the order of the room goes. */
  next(): Item | undefined {
    const next = this.items[this.sent];
    const last = this.sent > 0 ? this.items[this.sent - 1] : undefined;
    if (!next || next.awaits !== undefined) return undefined;
    return last?.alone || (last && next.alone) ? undefined : next;
  }

  place(messageId: string): number {
    return this.items.findIndex((item) => item.messageId === messageId);
  }
}
