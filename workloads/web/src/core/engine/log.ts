/** Rooms: known, entered, left; their logs fed and their changes told. */
import type { Entry, Position } from '../wire/entry';
import type { Engine } from './engine';
import type { ListedRoom } from './events';
import { readNotice } from './inbox';
import { SMALL_ROOM_MEMBERS } from './settings';
import { News, Timeline } from './timeline';

/** The log of a room we are in, or of the inbox. */
export function timelineOf(engine: Engine, room: string): Timeline | undefined {
  return room === engine.inboxRoom ? engine.inbox : engine.timeline(room);
}

/** Entries of a log we hold, from wherever. Answers whether its end moved. */
export function putEntries(engine: Engine, room: string, entries: readonly Entry[]): boolean {
  const timeline = timelineOf(engine, room);
  if (!timeline) return false;
  const before = timeline.position;
  const news = new News();
  let newer = false;
  for (const entry of entries) if (timeline.put(entry, news) === 'newer') newer = true;
  const moved = timeline.head !== before.seq || timeline.generation !== before.generation;
  publish(engine, room, news);
  if (newer) wantLog(engine, room);
  checkGap(engine, room);
  return moved;
}

/** Tells what changed in a log. */
export function publish(engine: Engine, room: string, news: News): void {
  if (news.appended.length > 0) engine.saveSoon();
  if (room === engine.inboxRoom) {
    for (const entry of news.appended) takeNotice(engine, entry);
    return;
  }
  const held = engine.rooms.get(room);
  if (!held) return;
  const updated = [...news.updated].sort((one, other) => one - other).map((seq) => held.timeline.row(seq));
  if (news.older.length > 0) engine.tell({ type: 'older', room, entries: news.older });
  if (news.appended.length > 0) {
    noteDelivered(engine, room, news.appended);
    noteMembers(engine, room, news.appended);
    engine.tell({ type: 'appended', room, entries: news.appended });
  }
  for (const entry of updated) if (entry) engine.tell({ type: 'updated', room, entry });
}

function noteDelivered(engine: Engine, room: string, appended: readonly Entry[]): void {
  const held = engine.rooms.get(room);
  if (!held || !engine.settings.delivered || (held.members ?? 0) > SMALL_ROOM_MEMBERS) return;
  const others = appended.some((entry) => entry.sender.user !== engine.user);
  if (others) engine.watermarks.delivered(room, held.timeline.position, engine.now);
}

/**
 * Counts members, and takes the news of our own removal as a hint to read the inbox: the log read again after a return says
 * so too.
 */
function noteMembers(engine: Engine, room: string, appended: readonly Entry[]): void {
  const held = engine.rooms.get(room);
  if (!held) return;
  for (const { kind, content } of appended) {
    if (kind === 'member_joined' && held.members !== undefined) held.members += 1;
    if (kind !== 'member_left') continue;
    if (held.members !== undefined) held.members = Math.max(0, held.members - 1);
    if (content['user'] === engine.user) engine.sync.stranger(engine.now);
  }
}

function takeNotice(engine: Engine, entry: Entry): void {
  const notice = readNotice(entry);
  switch (notice.type) {
    case 'joined':
      engine.firstFold?.decided.add(notice.room);
      return enter(engine, notice.room, engine.firstFold?.listed.get(notice.room));
    case 'left':
      engine.firstFold?.decided.add(notice.room);
      return leave(engine, notice.room);
    case 'friend':
    case 'preferences':
    case 'device_list':
      return engine.tell(notice);
    case 'other':
      return engine.tell({ type: 'notice', entry });
  }
}

/** The inbox was read to its end for the first time: rooms of which it says nothing are as the list says. */
export function endFirstFold(engine: Engine): void {
  const fold = engine.firstFold;
  engine.firstFold = undefined;
  if (!fold) return;
  for (const [room, listed] of [...fold.listed].sort(([one], [other]) => (one < other ? -1 : 1))) {
    if (!fold.decided.has(room)) enter(engine, room, listed);
  }
}

/** We are in this room. */
export function enter(engine: Engine, room: string, listed: ListedRoom | undefined): void {
  if (room === engine.inboxRoom) return;
  const known = engine.rooms.get(room);
  if (known) {
    if (known.denied) engine.sync.want(room);
    return;
  }
  const timeline = new Timeline(engine.settings.rowsPerRoom, engine.user);
  if (engine.settings.depth === 'from_now' && listed) timeline.jump(listed.head, new News());
  engine.rooms.set(room, { timeline, denied: false, members: listed?.members });
  engine.sync.want(room);
  engine.saveSoon();
  engine.tell({ type: 'joined', room });
}

/** We are not any more. */
function leave(engine: Engine, room: string): void {
  const gone = engine.rooms.get(room);
  if (!gone) return;
  engine.rooms.delete(room);
  forgetRoom(engine, room);
  if (!gone.denied) engine.tell({ type: 'left', room });
}

/** The server says we are not in it. What was held is dropped; the inbox has the last word. */
export function deny(engine: Engine, room: string): void {
  const known = engine.rooms.get(room);
  if (!known) return;
  known.timeline = new Timeline(engine.settings.rowsPerRoom, engine.user);
  if (!known.denied) engine.tell({ type: 'left', room });
  known.denied = true;
  forgetRoom(engine, room);
}

/** The server answers for it after all. */
export function admit(engine: Engine, room: string): void {
  const known = engine.rooms.get(room);
  if (!known?.denied) return;
  known.denied = false;
  engine.tell({ type: 'joined', room });
}

function forgetRoom(engine: Engine, room: string): void {
  engine.sync.forget(room);
  engine.gaps.closed(room);
  engine.watermarks.forget(room);
  engine.watching.forget(room);
  engine.saveSoon();
}

/** The log starts anew in this generation; what was held of the old one is dropped. */
export function restart(engine: Engine, room: string, generation: number): void {
  const timeline = timelineOf(engine, room);
  if (!timeline) return;
  timeline.restart(generation);
  engine.watermarks.forget(room);
  toldRestart(engine, room, timeline.position);
}

/** Goes on from the end of a log without what lies between. */
export function jump(engine: Engine, room: string, position: Position): void {
  const timeline = timelineOf(engine, room);
  if (!timeline) return;
  const news = new News();
  timeline.jump(position, news);
  toldRestart(engine, room, position);
  publish(engine, room, news);
}

function toldRestart(engine: Engine, room: string, position: Position): void {
  engine.gaps.closed(room);
  engine.saveSoon();
  if (room !== engine.inboxRoom) engine.tell({ type: 'restarted', room, position });
}

/** This log is to be compared with the server's. */
export function wantLog(engine: Engine, room: string): void {
  if (room === engine.inboxRoom) engine.sync.wantInbox();
  else engine.sync.want(room);
}

/** Something came of a room that we do not hold. */
export function stranger(engine: Engine, room: string): void {
  if (engine.rooms.has(room)) engine.sync.want(room);
  engine.sync.stranger(engine.now);
}

/** Notes or closes a gap at the end of a log. */
export function checkGap(engine: Engine, room: string): void {
  const timeline = timelineOf(engine, room);
  if (!timeline) return;
  if (timeline.isBehind) engine.gaps.noticed(room, engine.now);
  else engine.gaps.closed(room);
}
