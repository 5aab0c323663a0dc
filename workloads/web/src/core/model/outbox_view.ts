import type { SavedMessage } from '../engine/events';
import type { News, Pending } from './news';
import type { Waiting } from './row';

/** The outbox as every tab sees it: what waits and what was refused, by room, in the order said. */
export class OutboxView {
  readonly #waiting = new Map<string, { readonly room: string; readonly waiting: Waiting }>();

  reset(pending: readonly Pending[]): void {
    this.#waiting.clear();
    for (const one of pending) this.said(one);
  }

  said({ message, state, at }: Pending): void {
    const { message_id, room, draft, awaits, refused } = message;
    const waiting: Waiting = { messageId: message_id, draft, awaits, state: refused ? 'failed' : state, failure: refused, at };
    this.#waiting.set(message_id, { room, waiting });
  }

  revised(messageId: string, message: SavedMessage): void {
    this.#change(messageId, (waiting) => ({ ...waiting, draft: message.draft }));
  }

  /** `shown`: the row of what is stored is there, or nobody looks. Answers whether it was ours. */
  take(change: Extract<News, { type: 'message' }>, shown: boolean): boolean {
    const id = change.message_id;
    if (!this.#waiting.has(id)) return false;
    switch (change.state) {
      case 'stored':
        this.#resolve(id, change.position.seq);
        if (shown) return this.#waiting.delete(id);
        return this.#change(id, (waiting) => ({ ...waiting, state: 'sent', storedSeq: change.position.seq, failure: undefined }));
      case 'gone':
        return this.#waiting.delete(id);
      case 'refused': {
        const { code, detail } = change.refusal;
        return this.#change(id, (waiting) => ({ ...waiting, state: 'failed', failure: { code, detail } }));
      }
      default:
        return this.#change(id, (waiting) => ({ ...waiting, state: change.state, failure: undefined }));
    }
  }

  of(room: string): Waiting[] {
    const own: Waiting[] = [];
    for (const one of this.#waiting.values()) if (one.room === room) own.push(one.waiting);
    return own;
  }

  /** Rows have come: what stands for them is taken away. Answers whether there was any. */
  drop(room: string, isShown: (seq: number) => boolean): boolean {
    let dropped = false;
    for (const [id, { room: where, waiting }] of this.#waiting) {
      if (where !== room || waiting.storedSeq === undefined || !isShown(waiting.storedSeq)) continue;
      dropped = this.#waiting.delete(id);
    }
    return dropped;
  }

  roomOf(messageId: string): string | undefined {
    return this.#waiting.get(messageId)?.room;
  }

  get(messageId: string): Waiting | undefined {
    return this.#waiting.get(messageId)?.waiting;
  }

  failedIn(room: string): number {
    let failed = 0;
    for (const one of this.#waiting.values()) if (one.room === room && one.waiting.failure) failed += 1;
    return failed;
  }

  rooms(): Set<string> {
    return new Set([...this.#waiting.values()].map((one) => one.room));
  }

  counts(): { unsent: number; failed: number } {
    let [unsent, failed] = [0, 0];
    for (const { waiting } of this.#waiting.values()) {
      if (waiting.failure) failed += 1;
      else if (waiting.state !== 'sent') unsent += 1;
    }
    return { unsent, failed };
  }

  all(): Pending[] {
    const unsettled = [...this.#waiting.values()].filter(({ waiting }) => waiting.state !== 'sent');
    return unsettled.map(({ room, waiting }) => ({
      message: {
        message_id: waiting.messageId,
        room,
        draft: waiting.draft,
        ...(waiting.awaits !== undefined && { awaits: waiting.awaits }),
        ...(waiting.failure && { refused: waiting.failure }),
      },
      state: waiting.state === 'sending' ? 'sending' : 'queued',
      at: waiting.at,
    }));
  }


  #resolve(messageId: string, seq: number): void {
    for (const [id, { waiting }] of this.#waiting) {
      if (waiting.awaits !== messageId) continue;
      this.#change(id, (old) => ({ ...old, awaits: undefined, draft: { ...old.draft, target: seq } }));
    }
  }

  #change(messageId: string, change: (old: Waiting) => Waiting): boolean {
    const held = this.#waiting.get(messageId);
    if (held) this.#waiting.set(messageId, { room: held.room, waiting: change(held.waiting) });
    return held !== undefined;
  }
}
