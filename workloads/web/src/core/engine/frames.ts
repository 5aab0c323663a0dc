/** Frames of the server, one by one. */
import type { Entry } from '../wire/entry';
import { defaultContentType } from '../wire/entry';
import { CLOSE, type RefusedFrame, type ServerFrame, type StoredFrame } from '../wire/frames';
import { breakOff, takeReconnect, welcomed } from './connection';
import type { Engine } from './engine';
import { checkGap, putEntries, restart, stranger, timelineOf, wantLog } from './log';
import type { Item, Refusal } from './outbox';

export function take(engine: Engine, frame: ServerFrame): void {
  engine.heartbeat.heard(engine.now);
  if (frame.type === 'welcome') return welcomed(engine, frame);
  if (frame.type === 'error') return engine.tell({ type: 'problem', frame });
  if (!engine.isOnline) return;
  switch (frame.type) {
    case 'accepted':
      return engine.outbox.stir(frame.message_id, engine.now);
    case 'stored':
      return takeStored(engine, frame);
    case 'refused':
      return takeRefused(engine, frame);
    case 'message':
      return takeMessage(engine, frame.room, frame.entry);
    case 'position':
      return takePosition(engine, frame.room, frame.head.generation, frame.head.seq);
    case 'reset':
      return takeReset(engine, frame.room, frame.generation);
    case 'watermark':
      return engine.tell({ type: 'watermark', frame });
    case 'signal':
      return engine.tell({ type: 'signal', frame });
    case 'presence':
      return engine.tell({ type: 'presence', frame });
    case 'busy':
      return engine.outbox.hold(frame.room, engine.now + frame.retry_after_ms, engine.now);
    case 'reconnect':
      return takeReconnect(engine, frame.after_ms);
    case 'pong':
      return;
    default:
      // A frame of a newer version: it was a sign of life.
      return;
  }
}

function takeMessage(engine: Engine, room: string, entry: Entry): void {
  acknowledgeEntry(engine, room, entry);
  if (timelineOf(engine, room)) putEntries(engine, room, [entry]);
  else stranger(engine, room);
}

function takePosition(engine: Engine, room: string, generation: number, seq: number): void {
  const timeline = timelineOf(engine, room);
  if (!timeline) return stranger(engine, room);
  if (generation > timeline.generation) return wantLog(engine, room);
  if (generation < timeline.generation) return;
  timeline.noteHead(seq);
  checkGap(engine, room);
}

function takeReset(engine: Engine, room: string, generation: number): void {
  const timeline = timelineOf(engine, room);
  if (!timeline) return stranger(engine, room);
  if (generation <= timeline.generation) return;
  restart(engine, room, generation);
  wantLog(engine, room);
}

function takeStored(engine: Engine, frame: StoredFrame): void {
  const item = engine.outbox.acknowledge(frame.room, frame.message_id, engine.now);
  if (!item) return;
  messageStored(engine, item, frame);
  const entry = entryOf(engine, item, frame);
  if (entry) return void putEntries(engine, frame.room, [entry]);
  const timeline = timelineOf(engine, frame.room);
  if (timeline?.generation !== frame.position.generation) return;
  timeline.noteHead(frame.position.seq);
  checkGap(engine, frame.room);
}

function messageStored(engine: Engine, item: Item, at: Pick<StoredFrame, 'position' | 'ordinal' | 'at'>): void {
  const { messageId, room } = item;
  engine.tell({ type: 'message', message_id: messageId, room, state: 'stored', position: at.position, ordinal: at.ordinal, at: at.at });
  const resolved = engine.outbox.resolve(room, messageId, at.position.seq);
  if (resolved.length > 0) engine.saveNow();
  for (const change of resolved) engine.tell({ type: 'message', message_id: change.messageId, room, state: 'queued' });
  engine.saveSoon();
}

/**
 * The row the log has, as `stored` may be all this connection hears of it. Not known when another session of ours may have
 * sent it first: that one stands in the row.
 */
function entryOf(engine: Engine, item: Item, stored: StoredFrame): Entry | undefined {
  const { user, sessionId } = engine;
  if (user === undefined || sessionId === undefined || item.session !== sessionId || stored.position.seq < 1) return undefined;
  const { kind, content, content_type, ...more } = item.draft;
  return {
    position: stored.position,
    prev_seq: stored.position.seq - 1,
    ordinal: stored.ordinal,
    message_id: stored.message_id,
    sender: { user, session: sessionId },
    at: stored.at,
    kind,
    content_type: content_type ?? defaultContentType(kind),
    content,
    ...more,
  };
}

function takeRefused(engine: Engine, frame: RefusedFrame): void {
  const { message_id, room, code, detail, retryable, retry_after_ms } = frame;
  const refusal: Refusal = { code, detail, retryable, ...(retry_after_ms !== undefined && { retry_after_ms }) };
  const refusing = engine.outbox.refused(room, message_id, refusal, engine.now, engine.random);
  if (refusing === 'unknown') return;
  if (refusing === 'stuck') return breakOff(engine, CLOSE.normal);
  engine.saveSoon();
  if (refusing === 'again') {
    engine.tell({ type: 'message', message_id, room, state: 'queued' });
  } else {
    engine.tell({ type: 'message', message_id, room, state: 'refused', refusal });
    for (const lost of engine.outbox.dropDependents(room, message_id)) {
      engine.tell({ type: 'message', message_id: lost.messageId, room, state: 'gone' });
    }
  }
  // The inbox knows whether we are still in it.
  if (code === 'room_not_found' || code === 'not_a_member') stranger(engine, room);
}

/** An entry whose id waits in the outbox is its acknowledgement, wherever it comes from. */
export function acknowledgeEntry(engine: Engine, room: string, entry: Entry): void {
  if (entry.sender.user !== engine.user || !engine.outbox.has(room)) return;
  const item = engine.outbox.acknowledge(room, entry.message_id, engine.now);
  if (item) messageStored(engine, item, entry);
}
