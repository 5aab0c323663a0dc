/** Messages and changes of messages on their way into the outbox. */
import { ClientError } from '../error';
import type { SavedMessage } from '../engine/events';
import type { Message } from '../interface';
import type { Draft as WireDraft } from '../wire/entry';
import type { Content } from './backend';
import { draftOf } from './draft';
import type { LeaderContext } from './leader_context';

export class LeaderMessages {
  readonly #context: LeaderContext;

  constructor(context: LeaderContext) {
    this.#context = context;
  }

  /** Answers when it is on disk. */
  async send(room: string, messageId: string, message: Message): Promise<void> {
    this.#say(room, messageId, draftOf(message));
    await this.#context.driver()?.done();
  }

  async change(room: string, messageId: string, kind: 'edit' | 'delete' | 'reaction', target: number | string, content: Content, mentions?: Message['mentions']): Promise<void> {
    this.#change(room, messageId, kind, target, content, mentions);
    await this.#context.driver()?.done();
  }

  #change(room: string, messageId: string, kind: 'edit' | 'delete' | 'reaction', target: number | string, content: Content, mentions?: Message['mentions']): void {
    const draft: WireDraft = { kind, content, ...(mentions && kind === 'edit' && { mentions }) };
    if (typeof target === 'number') return this.#say(room, messageId, { ...draft, target });
    const waiting = this.#context.model.outbox.get(target);
    const stored = this.#context.model.timelineOf(room).seqOf(target);
    if (stored !== undefined) return this.#say(room, messageId, { ...draft, target: stored });
    if (!waiting) throw new ClientError('target_not_found', 'there is no such message');
    const item = this.#context.driver()?.engine.outbox.find(target);
    if (kind === 'delete' && (!item || !item.mayBeStored)) return this.cancel(target);
    if (kind === 'edit' && item && !item.mayBeStored) return this.#revise(room, target, { ...waiting.draft, content });
    if (kind === 'edit' && !item) {
      // It was refused: the better text is a new message.
      this.cancel(target);
      return this.#say(room, messageId, { ...waiting.draft, content });
    }
    this.#say(room, messageId, draft, target);
  }

  #say(room: string, messageId: string, draft: WireDraft, awaits?: string): void {
    const driver = this.#context.driver();
    if (!driver) throw new ClientError('unauthenticated', 'nobody is signed in');
    // Asked again by a tab that did not hear the answer.
    if (driver.engine.outbox.find(messageId) || this.#context.model.outbox.get(messageId)) return;
    const message: SavedMessage = { message_id: messageId, room, draft, ...(awaits !== undefined && { awaits }) };
    this.#context.tell({ type: 'said', pending: { message, state: 'queued', at: this.#context.environment.now() + this.#context.clockOffset() } });
    driver.tell({ type: 'say', message_id: messageId, room, draft, ...(awaits !== undefined && { awaits }) });
    const refused = this.#context.model.outbox.get(messageId)?.failure;
    if (!refused || driver.engine.outbox.find(messageId)) return;
    this.#context.tell({ type: 'message', message_id: messageId, room, state: 'gone' });
    throw new ClientError(refused.code, refused.detail);
  }

  #revise(room: string, messageId: string, draft: WireDraft): void {
    this.#context.driver()?.tell({ type: 'revise', message_id: messageId, draft });
    const now = this.#context.driver()?.engine.outbox.find(messageId)?.draft;
    if (now) this.#context.tell({ type: 'revised', message_id: messageId, message: { message_id: messageId, room, draft: now } });
  }

  retry(messageId: string): void {
    this.#context.driver()?.tell({ type: 'retry', message_id: messageId });
  }

  cancel(messageId: string): void {
    this.#context.driver()?.tell({ type: 'discard', message_id: messageId });
  }
}
