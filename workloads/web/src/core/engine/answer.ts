/** Questions to the HTTP API, and what their answers change. */
import { NOTHING, type Entry } from '../wire/entry';
import type { SyncAnswer, SyncRoomAnswer } from '../wire/http';
import { stop } from './connection';
import type { Engine } from './engine';
import type { ListedRoom, RequestFailure } from './events';
import { acknowledgeEntry } from './frames';
import { admit, checkGap, deny, endFirstFold, jump, publish, putEntries, restart, timelineOf } from './log';
import { FIRST_PAGE, GAPS_AT_ONCE, HISTORY_PAGE, SYNC_ROOMS } from './settings';
import { News } from './timeline';

/** What a request was for. */
export type Purpose =
  /** On the connection of this epoch. */
  | { readonly type: 'rooms'; epoch: number }
  | { readonly type: 'sync'; epoch: number; readonly rooms: ReadonlySet<string>; readonly inbox: boolean }
  /** What a log lacks at its end. */
  | { readonly type: 'gap'; readonly room: string }
  /** What the user scrolls back to. */
  | { readonly type: 'older'; readonly room: string };

export function pumpSync(engine: Engine): void {
  const question = engine.sync.question(engine.now, engine.firstFold !== undefined);
  if (!question) return;
  if (question.type === 'rooms') {
    const purpose: Purpose = { type: 'rooms', epoch: 0 };
    const request = engine.request(purpose);
    purpose.epoch = engine.sync.asked(request);
    engine.effect({ type: 'request_rooms', request, ...(question.after !== undefined && { after: question.after }) });
    return;
  }
  const { rooms, inbox, limit } = question;
  const purpose: Purpose = { type: 'sync', epoch: 0, rooms: new Set(rooms), inbox };
  const request = engine.request(purpose);
  purpose.epoch = engine.sync.asked(request);
  const asked = rooms.map((room) => ({ room, position: engine.rooms.get(room)?.timeline.position ?? NOTHING }));
  engine.effect({ type: 'request_sync', request, body: { rooms: asked, ...(inbox && { inbox: engine.inbox.position }), limit } });
}

export function pumpGaps(engine: Engine): void {
  let due = engine.gaps.dueRooms(engine.now);
  due = due.filter((room) => {
    const isInbox = room === engine.inboxRoom;
    if (!isInbox && !engine.sync.wants(room)) return true;
    engine.gaps.closed(room);
    if (isInbox) engine.sync.wantInbox();
    return false;
  });
  let asking = 0;
  for (const purpose of engine.requests.values()) if (purpose.type === 'gap') asking += 1;
  if (asking + due.length > GAPS_AT_ONCE) {
    for (const room of due.slice(0, SYNC_ROOMS)) {
      engine.gaps.closed(room);
      engine.sync.want(room);
    }
    return;
  }
  for (const room of due) {
    const timeline = engine.timeline(room);
    if (!timeline) {
      engine.gaps.closed(room);
      continue;
    }
    const request = engine.request({ type: 'gap', room });
    engine.gaps.asked(room, request);
    engine.effect({ type: 'request_history', request, room, after: timeline.head, limit: HISTORY_PAGE });
  }
}

export function askOlder(engine: Engine, room: string, limit: number): void {
  const floor = engine.timeline(room)?.floor ?? 0;
  if (floor === 0 || engine.older.has(room)) return;
  engine.older.add(room);
  const request = engine.request({ type: 'older', room });
  const most = Math.min(Math.max(limit, 1), HISTORY_PAGE);
  engine.effect({ type: 'request_history', request, room, before: floor + 1, limit: most });
}

function taken<T extends Purpose['type']>(engine: Engine, request: number, ...types: T[]): Extract<Purpose, { type: T }> | undefined {
  const purpose = engine.requests.get(request);
  engine.requests.delete(request);
  return purpose && types.includes(purpose.type as T) ? (purpose as Extract<Purpose, { type: T }>) : undefined;
}

export function takeRooms(engine: Engine, request: number, rooms: readonly ListedRoom[], next: string | undefined): void {
  const purpose = taken(engine, request, 'rooms');
  if (!purpose) return;
  const current = engine.sync.answered(request, purpose.epoch);
  for (const listed of rooms) engine.firstFold?.listed.set(listed.room, listed);
  if (current) engine.sync.list = next === undefined ? 'read' : { from: next };
}

export function takeSync(engine: Engine, request: number, answer: SyncAnswer): void {
  const purpose = taken(engine, request, 'sync');
  if (!purpose) return;
  const current = engine.sync.answered(request, purpose.epoch);
  let progress = false;
  if (purpose.inbox && answer.inbox && engine.inboxRoom !== undefined) {
    const reached = takeLog(engine, engine.inboxRoom, answer.inbox);
    if (reached !== 'nowhere') progress = true;
    if (reached === 'end' && current) {
      engine.sync.inboxSettled();
      endFirstFold(engine);
    }
  }
  for (const log of answer.rooms) {
    if (!purpose.rooms.has(log.room) || log.room === engine.inboxRoom) continue;
    const reached = takeLog(engine, log.room, log);
    if (reached !== 'nowhere') progress = true;
    if (reached !== 'end' || !current) continue;
    engine.sync.settled(log.room);
    checkGap(engine, log.room);
  }
  if (current && !progress) engine.sync.failed(request, undefined, engine.now, engine.random);
}

/** One log of a sync answer. Answers how far it brought us. */
function takeLog(engine: Engine, room: string, log: SyncRoomAnswer): 'end' | 'further' | 'nowhere' {
  if (log.error !== undefined) {
    if (log.error !== 'room_not_found' && log.error !== 'not_a_member') return 'nowhere';
    deny(engine, room);
    return 'end';
  }
  const { head, entries = [], more = false } = log;
  if (!head) return 'nowhere';
  for (const entry of entries) acknowledgeEntry(engine, room, entry);
  admit(engine, room);
  const timeline = timelineOf(engine, room);
  if (!timeline) return 'end';
  const held = timeline.generation;
  if (head.generation < held) return 'nowhere';
  if (held !== 0 && head.generation > held) restart(engine, room, head.generation);
  const firstMeeting = held === 0 || head.generation > held;
  const far = head.seq - timeline.head > engine.settings.farBehind;
  if (more && engine.settings.depth === 'from_now' && room !== engine.inboxRoom && (firstMeeting || far)) {
    jump(engine, room, head);
    askOlder(engine, room, FIRST_PAGE);
    return 'end';
  }
  const news = new News();
  timeline.adopt(head.generation, news);
  timeline.noteHead(head.seq);
  publish(engine, room, news);
  const moved = putEntries(engine, room, entries);
  if (!more) return 'end';
  return moved || firstMeeting ? 'further' : 'nowhere';
}

export function takeHistory(engine: Engine, request: number, entries: readonly Entry[]): void {
  const purpose = taken(engine, request, 'gap', 'older');
  if (!purpose) return;
  const { room } = purpose;
  for (const entry of entries) acknowledgeEntry(engine, room, entry);
  if (purpose.type === 'gap') {
    const moved = putEntries(engine, room, entries);
    return engine.gaps.answered(room, request, moved, undefined, engine.now, engine.random);
  }
  engine.older.delete(room);
  const timeline = timelineOf(engine, room);
  if (!timeline) return;
  const news = new News();
  timeline.prepend(entries, news);
  publish(engine, room, news);
}

export function takeFailure(engine: Engine, request: number, failure: RequestFailure): void {
  const purpose = engine.requests.get(request);
  engine.requests.delete(request);
  if (!purpose) return;
  const { code, retry_after_ms: hint } = failure;
  if (purpose.type === 'older') engine.older.delete(purpose.room);
  else if (purpose.type !== 'gap') engine.sync.failed(request, hint, engine.now, engine.random);
  else if (code === 'room_not_found' || code === 'not_a_member') deny(engine, purpose.room);
  else engine.gaps.answered(purpose.room, request, false, hint, engine.now, engine.random);
  if (code === 'token_expired' || code === 'unauthenticated') engine.token.rejected();
  if (code === 'session_revoked') stop(engine, 'signed_out');
}
