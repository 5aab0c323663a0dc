/** What the user does, and what outlives the tab. */
import { NOTHING, type Draft } from '../wire/entry';
import { checkDraft } from './check';
import type { Engine } from './engine';
import type { SavedMessage, Snapshot } from './events';
import { OUTBOX_FULL_WAIT_MS } from './settings';
import { News, Timeline } from './timeline';

export function say(engine: Engine, messageId: string, room: string, draft: Draft, awaits: string | undefined): void {
  // What changes a message that is not stored yet gets its target later.
  const refusal = checkDraft(awaits === undefined ? draft : { ...draft, target: 1 });
  if (refusal) return engine.tell({ type: 'message', message_id: messageId, room, state: 'refused', refusal });
  if (!engine.outbox.push(room, messageId, draft, { awaits })) {
    const detail = 'the outbox is full, or has this message already';
    const full = { code: 'busy', detail, retryable: true, retry_after_ms: OUTBOX_FULL_WAIT_MS };
    return engine.tell({ type: 'message', message_id: messageId, room, state: 'refused', refusal: full });
  }
  engine.saveNow();
  engine.tell({ type: 'message', message_id: messageId, room, state: 'queued' });
}

export function revise(engine: Engine, messageId: string, draft: Draft): void {
  if (checkDraft(draft) || !engine.outbox.revise(messageId, () => draft)) return;
  engine.saveNow();
}

export function retry(engine: Engine, messageId: string): void {
  const item = engine.outbox.retry(messageId);
  if (!item) return;
  engine.saveNow();
  engine.tell({ type: 'message', message_id: messageId, room: item.room, state: 'queued' });
}

export function discard(engine: Engine, messageId: string): void {
  const item = engine.outbox.discard(messageId, engine.now);
  if (!item) return;
  engine.saveNow();
  for (const lost of [item, ...engine.outbox.dropDependents(item.room, messageId)]) {
    engine.tell({ type: 'message', message_id: lost.messageId, room: item.room, state: 'gone' });
  }
}

export function read(engine: Engine, room: string, seq: number): void {
  const timeline = engine.timeline(room);
  if (!timeline || timeline.generation === 0) return;
  const position = { generation: timeline.generation, seq: Math.min(seq, timeline.head) };
  engine.watermarks.read(room, position, engine.now);
}

export function snapshot(engine: Engine): Snapshot {
  const waiting = engine.outbox.unsettled().map((item): SavedMessage => ({
    message_id: item.messageId,
    room: item.room,
    draft: item.draft,
    ...(item.session !== undefined && { session: item.session }),
    ...(item.awaits !== undefined && { awaits: item.awaits }),
    ...(!item.mayBeStored && { fresh: true }),
  }));
  const parked = engine.outbox.parked().map(({ item, refusal }): SavedMessage => ({
    message_id: item.messageId,
    room: item.room,
    draft: item.draft,
    ...(item.session !== undefined && { session: item.session }),
    refused: { code: refusal.code, detail: refusal.detail },
  }));
  const mine = { ...(engine.user !== undefined && { user: engine.user }), outbox: [...waiting, ...parked] };
  // Which rooms there are is not known yet: the next life reads list and inbox from the start.
  if (engine.firstFold) return { ...mine, inbox: NOTHING, rooms: [] };
  const rooms = [...engine.rooms].map(([room, held]) => ({ room, position: held.timeline.position }));
  return { ...mine, inbox: engine.inbox.position, rooms };
}

export function restore(engine: Engine, saved: Snapshot): void {
  const resume = (timeline: Timeline, position: { generation: number; seq: number }): Timeline => {
    if (position.generation !== 0 || position.seq !== 0) timeline.jump(position, new News());
    return timeline;
  };
  engine.inbox = resume(new Timeline(0, engine.user), saved.inbox);
  for (const { room, position } of saved.rooms) {
    const timeline = resume(new Timeline(engine.settings.rowsPerRoom, engine.user), position);
    engine.rooms.set(room, { timeline, denied: false, members: undefined });
  }
  for (const { message_id, room, draft, session, awaits, fresh, refused } of saved.outbox) {
    if (refused) engine.outbox.restoreParked(room, message_id, draft, session, { ...refused, retryable: false });
    else engine.outbox.push(room, message_id, draft, { session, awaits, old: fresh !== true });
  }
}
