import { isAfter, type Position } from '../wire/entry';
import type { ClientFrame } from '../wire/frames';
import { WATERMARK_DOUBT_MS, WATERMARK_EVERY_MS } from './settings';

interface Mark {
  read?: Position | undefined;
  delivered?: Position | undefined;
  sentRead?: Position | undefined;
  sentDelivered?: Position | undefined;
  sentAt: number;
}

/** How far we have read and received: gathered, forward only, sent again when a broken connection may have lost it. */
export class Watermarks {
  readonly #rooms = new Map<string, Mark>();
  #flushAt: number | undefined;

  read(room: string, position: Position, now: number): void {
    const mark = this.#mark(room);
    if (isFurther(position, mark.read)) mark.read = position;
    this.#plan(mark, now);
  }

  delivered(room: string, position: Position, now: number): void {
    const mark = this.#mark(room);
    if (isFurther(position, mark.delivered)) mark.delivered = position;
    this.#plan(mark, now);
  }

  due(): number | undefined {
    return this.#flushAt;
  }

  /** One frame a room, if it is time. */
  flush(now: number): ClientFrame[] {
    if (this.#flushAt === undefined || this.#flushAt > now) return [];
    this.#flushAt = undefined;
    const frames: ClientFrame[] = [];
    for (const [room, mark] of [...this.#rooms].sort(([one], [other]) => (one < other ? -1 : 1))) {
      if (!isDue(mark)) continue;
      const read = isFurther(mark.read, mark.sentRead) ? mark.read : undefined;
      const delivered = isFurther(mark.delivered, mark.sentDelivered) ? mark.delivered : undefined;
      mark.sentRead = mark.read;
      mark.sentDelivered = mark.delivered;
      mark.sentAt = now;
      frames.push({ type: 'watermark', room, ...(read && { read }), ...(delivered && { delivered }) });
    }
    return frames;
  }

  /** The connection broke: what was sent just now may not have arrived. What is surely there is forgotten. */
  disconnected(now: number): void {
    for (const [room, mark] of this.#rooms) {
      if (!isDue(mark) && mark.sentAt + WATERMARK_DOUBT_MS <= now) this.#rooms.delete(room);
      mark.sentRead = undefined;
      mark.sentDelivered = undefined;
    }
    this.#flushAt = this.#rooms.size > 0 ? now : undefined;
  }

  /** What a later life has to send, as it may not have arrived. */
  unsent(): { room: string; read: Position }[] {
    const unsent: { room: string; read: Position }[] = [];
    for (const [room, mark] of this.#rooms) if (mark.read && isDue(mark)) unsent.push({ room, read: mark.read });
    return unsent;
  }

  /** Its log has another generation now, or is none of ours any more. */
  forget(room: string): void {
    this.#rooms.delete(room);
  }

  #mark(room: string): Mark {
    let mark = this.#rooms.get(room);
    if (!mark) this.#rooms.set(room, (mark = { sentAt: 0 }));
    return mark;
  }

  #plan(mark: Mark, now: number): void {
    if (isDue(mark)) this.#flushAt ??= now + WATERMARK_EVERY_MS;
  }
}

function isFurther(one: Position | undefined, other: Position | undefined): boolean {
  return one !== undefined && (other === undefined || isAfter(one, other));
}

function isDue(mark: Mark): boolean {
  return isFurther(mark.read, mark.sentRead) || isFurther(mark.delivered, mark.sentDelivered);
}
