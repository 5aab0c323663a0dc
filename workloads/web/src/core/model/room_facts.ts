/** What is known of one room beside its rows: plain data, kept in the database as it is. */
import type { RoomRow } from '../interface';
import { isAfter, type Entry, type Position } from '../wire/entry';
import type { Profile, RoomOut } from '../wire/http';
import { profileOf } from './people';

export interface RoomFacts {
  readonly id: string;
  readonly kind: 'direct' | 'group';
  readonly name: string | undefined;
  readonly visibility: 'private' | 'public' | undefined;
  readonly peer: Profile | undefined;
  readonly memberCount: number;
  readonly role: 'owner' | 'admin' | 'member';
  readonly head: Position;
  readonly headOrdinal: number;
  readonly read: Position;
  readonly readOrdinal: number;
  /** Read here, and not known to have reached the server: told again in the next life. */
  readonly readPending: boolean;
  /** Mentions the list counted, up to this seq; later ones are listed by seq. */
  readonly countedMentions: number;
  readonly countedTo: number;
  readonly mentionSeqs: readonly number[];
  readonly markedUnread: boolean;
  readonly notify: 'all' | 'mentions' | 'none';
  readonly hidden: boolean;
  readonly last: Entry | undefined;
  /** Read up to here when this device first met the room: answers in threads before it are not new. */
  readonly threadsFrom?: number;
  /** When the first entry was met that this device saw of it, ms: for a room nobody has written in yet. */
  readonly metAt?: number;
  /** How far each thread was seen on this device, by its root. */
  readonly threadsRead?: { readonly [root: number]: number };
}

/** Threads of one room whose read place is kept; beyond, the oldest thread's is forgotten. */
const THREADS_READ = 200;
const LONGEST_PREVIEW = 160;

/** A line of the server's list, joined with what is known already. */
export function joinListed(known: RoomFacts | undefined, out: RoomOut): RoomFacts {
  const isNewer = !known || !isAfter(known.head, out.head);
  const readIsNewer = !known || out.read.generation > known.read.generation || !isAfter(known.read, out.read);
  const restored = known !== undefined && out.head.generation > known.head.generation;
  const mentionSeqs = restored ? [] : (known?.mentionSeqs ?? []).filter((seq) => seq > out.head.seq);
  return {
    id: out.id,
    kind: out.kind,
    name: out.name,
    visibility: out.visibility,
    peer: out.peer,
    memberCount: out.member_count,
    role: out.role,
    head: isNewer ? out.head : known.head,
    headOrdinal: isNewer ? out.head_ordinal : known.headOrdinal,
    read: readIsNewer ? out.read : known.read,
    readOrdinal: readIsNewer ? out.read_ordinal : known.readOrdinal,
    readPending: readIsNewer ? false : known.readPending,
    countedMentions: readIsNewer ? out.unread_mentions : known.countedMentions,
    countedTo: readIsNewer ? out.head.seq : known.countedTo,
    mentionSeqs,
    markedUnread: out.marked_unread ?? false,
    notify: out.preferences.notify,
    hidden: out.preferences.hidden ?? false,
    last: isNewer ? (out.last_message ?? known?.last) : known.last,
    threadsFrom: restored ? out.read.seq : (known?.threadsFrom ?? out.read.seq),
    ...withMetAt(known?.metAt),
    ...(known?.threadsRead && !restored && { threadsRead: known.threadsRead }),
  };
}

/** New entries at the end of the log. */
export function withAppended(facts: RoomFacts, entries: readonly Entry[], me: string | undefined): RoomFacts {
  const [first] = entries;
  let now: RoomFacts = facts.metAt === undefined && first ? { ...facts, ...withMetAt(Date.parse(first.at)) } : facts;
  for (const entry of entries) if (isAfter(entry.position, now.head)) now = withEntry(now, entry, me);
  return now;
}

function withMetAt(metAt: number | undefined): Pick<RoomFacts, 'metAt'> {
  return metAt === undefined ? {} : { metAt };
}

function withEntry(facts: RoomFacts, entry: Entry, me: string | undefined): RoomFacts {
  const { kind, content } = entry;
  const mine = entry.sender.user === me;
  let now: RoomFacts = { ...facts, head: entry.position, headOrdinal: entry.ordinal };
  if (kind === 'member_joined') now = { ...now, memberCount: now.memberCount + 1 };
  if (kind === 'member_left') now = { ...now, memberCount: Math.max(0, now.memberCount - 1) };
  if (kind === 'role_changed' && content['user'] === me) now = { ...now, role: roleOf(content['role']) ?? now.role };
  if (kind === 'room_changed') {
    const { name, visibility } = content;
    if (typeof name === 'string') now = { ...now, name };
    if (visibility === 'private' || visibility === 'public') now = { ...now, visibility };
  }
  if (isMessage(entry)) {
    now = { ...now, last: entry };
    // Who sends has read, and a new message brings a hidden room back.
    if (mine) now = { ...now, read: entry.position, readOrdinal: entry.ordinal, countedMentions: 0, mentionSeqs: [] };
    else if (mentions(entry, me)) now = { ...now, mentionSeqs: [...now.mentionSeqs, entry.position.seq] };
  }
  return now;
}

/** We have read up to here; `ordinal` is undefined when the row is not held. Undefined: only the server can tell the count. */
export function withRead(facts: RoomFacts, read: Position, ordinal: number | undefined, pending: boolean): RoomFacts | undefined {
  if (!isAfter(read, facts.read)) return facts;
  const atEnd = !isAfter(facts.head, read);
  const known = atEnd ? facts.headOrdinal : ordinal;
  if (known === undefined) return undefined;
  return {
    ...facts,
    read: atEnd ? facts.head : read,
    readOrdinal: known,
    readPending: pending,
    countedMentions: read.seq >= facts.countedTo ? 0 : facts.countedMentions,
    mentionSeqs: facts.mentionSeqs.filter((seq) => seq > read.seq),
    markedUnread: false,
  };
}

/** A thread was seen up to here. */
export function withThreadRead(facts: RoomFacts, root: number, seq: number): RoomFacts {
  const known = facts.threadsRead ?? {};
  if ((known[root] ?? 0) >= seq) return facts;
  // An object has names that are numbers in ascending order: the oldest thread comes first.
  const all = Object.entries({ ...known, [root]: seq });
  return { ...facts, threadsRead: Object.fromEntries(all.slice(-THREADS_READ)) };
}

/** A message people read, not a change or a notice. */
export function isMessage(entry: Entry): boolean {
  return entry.kind === 'text' || entry.kind === 'file';
}

export function mentions(entry: Entry, me: string | undefined): boolean {
  return entry.mentions?.room === true || (me !== undefined && (entry.mentions?.users?.includes(me) ?? false));
}

export function roleOf(value: unknown): RoomRow['role'] | undefined {
  return value === 'owner' || value === 'admin' || value === 'member' ? value : undefined;
}

/** The line of the list. */
export function rowOf(facts: RoomFacts, more: { me: string | undefined; hasDraft: boolean; failed: number }): RoomRow {
  const { last, peer } = facts;
  const text = last && !last.deleted ? last.content['text'] : undefined;
  return {
    id: facts.id,
    kind: facts.kind,
    title: facts.name ?? peer?.display_name ?? peer?.username ?? facts.id.slice(0, 8),
    ...(peer && { peer: profileOf(peer) }),
    ...(facts.visibility && { visibility: facts.visibility }),
    memberCount: facts.memberCount,
    role: facts.role,
    unread: Math.max(0, facts.headOrdinal - facts.readOrdinal),
    mentions: facts.countedMentions + facts.mentionSeqs.length,
    markedUnread: facts.markedUnread,
    notify: facts.notify,
    hidden: facts.hidden,
    ...(last && {
      lastMessage: {
        seq: last.position.seq,
        sender: last.sender.user,
        mine: last.sender.user === more.me,
        at: Date.parse(last.at),
        kind: last.kind,
        text: typeof text === 'string' ? text.slice(0, LONGEST_PREVIEW) : '',
        deleted: last.deleted ?? false,
      },
    }),
    lastAt: last ? Date.parse(last.at) : (facts.metAt ?? madeAt(facts.id)),
    readSeq: facts.read.seq,
    headSeq: facts.head.seq,
    hasDraft: more.hasDraft,
    failed: more.failed,
    left: false,
  };
}

/** When a room was made, ms, as far as its id tells: those of groups begin with the time (RFC 9562, UUIDv7), those of two people do not. */
function madeAt(id: string): number {
  return id[14] === '7' ? Number.parseInt(id.replace('-', '').slice(0, 12), 16) : 0;
}
