/** Rows as views see them, from entries and from what waits in the outbox. */
import type { Failure, MessageRow, NoticeRow, Reaction, Replies, Row } from '../interface';
import type { Draft, Entry } from '../wire/entry';
import { mentions as callsMe, roleOf } from './room_facts';

/** What waits in the outbox: a message of its own, or a change of another one. */
export interface Waiting {
  readonly messageId: string;
  readonly draft: Draft;
  readonly awaits: string | undefined;
  /** `sent`: stored, but its row is still to come, as entries before it are missing. */
  readonly state: 'queued' | 'sending' | 'sent' | 'failed';
  readonly storedSeq?: number;
  readonly failure: Failure | undefined;
  readonly at: number;
}

export interface Viewer {
  readonly me: string | undefined;
  /** Server time, ms. */
  readonly now: number;
}

/** Who looks, and what of the room's threads they have seen. */
export interface Reader extends Viewer {
  /** How far a thread was seen; undefined when it never was. */
  readonly threadRead: (root: number) => number | undefined;
  /** Answers up to here are not new to this device. */
  readonly threadsFrom: number;
}

/** Faces shown on a thread's first message. */
const THREAD_FACES = 3;

const NOTICES = new Set(['member_joined', 'member_left', 'role_changed', 'room_changed']);
const NO_MENTIONS = { users: [], room: false };

export function rowOfEntry(entry: Entry, changes: readonly Waiting[], viewer: Viewer, replies?: Replies): Row {
  if (NOTICES.has(entry.kind)) return noticeOf(entry);
  const { message_id, position, sender, content, reply_to, thread, edited_at, expires_at } = entry;
  const expired = expires_at !== undefined && Date.parse(expires_at) <= viewer.now;
  const shown = expired ? {} : content;
  const row: MessageRow = {
    type: 'message',
    key: message_id,
    seq: position.seq,
    sender: sender.user,
    mine: sender.user === viewer.me,
    at: Date.parse(entry.at),
    kind: entry.kind,
    text: textOf(shown['text']),
    content: shown,
    ...(reply_to !== undefined && { replyTo: reply_to }),
    ...(thread !== undefined && { thread }),
    ...(replies && { replies }),
    mentionsMe: callsMe(entry, viewer.me),
    mentions: mentionsOf(entry),
    reactions: (entry.reactions ?? []).map(({ emoji, count, mine }) => ({ emoji, count, mine: mine ?? false })),
    ...(edited_at !== undefined && { editedAt: Date.parse(edited_at) }),
    deleted: entry.deleted ?? false,
    expired,
    ...(expires_at !== undefined && { expiresAt: Date.parse(expires_at) }),
    silent: entry.silent ?? false,
    state: 'sent',
    pending: false,
  };
  return changes.reduce(withChange, row);
}

/** What the first message of a thread says of its answers, which are in order and not empty. */
export function repliesOf(root: Entry, answers: readonly Entry[], complete: boolean, reader: Reader): Replies {
  const people: string[] = [];
  let own = root.sender.user === reader.me ? root.position.seq : undefined;
  for (const { sender, position } of answers) if (sender.user === reader.me) own = position.seq;
  for (let place = answers.length - 1; place >= 0 && people.length < THREAD_FACES; place -= 1) {
    const { user } = (answers[place] as Entry).sender;
    if (!people.includes(user)) people.push(user);
  }
  const seen = reader.threadRead(root.position.seq);
  const takesPart = own !== undefined || seen !== undefined;
  const since = Math.max(own ?? 0, seen ?? 0, reader.threadsFrom);
  const unread = takesPart ? answers.filter((answer) => answer.position.seq > since && answer.sender.user !== reader.me).length : 0;
  const last = answers.at(-1) as Entry;
  return { count: answers.length, complete, lastAt: Date.parse(last.at), people, unread };
}

/** A message that is not stored yet. */
export function rowOfWaiting(waiting: Waiting, changes: readonly Waiting[], viewer: Viewer): MessageRow {
  const { draft, messageId, failure } = waiting;
  const { kind, content, reply_to, thread, expires_at, silent } = draft;
  const row: MessageRow = {
    type: 'message',
    key: messageId,
    sender: viewer.me ?? '',
    mine: true,
    at: waiting.at,
    kind,
    text: textOf(content['text']),
    content,
    ...(reply_to !== undefined && { replyTo: reply_to }),
    ...(thread !== undefined && { thread }),
    mentionsMe: false,
    mentions: mentionsOf(draft),
    reactions: [],
    deleted: false,
    expired: expires_at !== undefined && Date.parse(expires_at) <= viewer.now,
    ...(expires_at !== undefined && { expiresAt: Date.parse(expires_at) }),
    silent: silent ?? false,
    state: waiting.state,
    ...(failure && { failure }),
    pending: false,
  };
  return changes.reduce(withChange, row);
}

/** A message as it will be when this change of ours is stored; a refused one changes nothing but says so. */
function withChange(row: MessageRow, change: Waiting): MessageRow {
  if (change.failure) return { ...row, changeFailure: { ...change.failure, changeId: change.messageId } };
  const { kind, content } = change.draft;
  const pending = { ...row, pending: true };
  if (kind === 'edit') return { ...pending, text: textOf(content['text']), content, editedAt: change.at };
  if (kind === 'delete') return { ...pending, text: '', content: {}, deleted: true, reactions: [] };
  const { emoji, on } = content;
  if (kind !== 'reaction' || typeof emoji !== 'string') return row;
  return { ...pending, reactions: withReaction(row.reactions, emoji, on === true) };
}

function withReaction(reactions: readonly Reaction[], emoji: string, on: boolean): Reaction[] {
  const held = reactions.find((one) => one.emoji === emoji);
  if (!held) return on ? [...reactions, { emoji, count: 1, mine: true }] : [...reactions];
  if (held.mine === on) return [...reactions];
  const count = held.count + (on ? 1 : -1);
  return reactions.flatMap((one) => (one !== held ? [one] : count > 0 ? [{ emoji, count, mine: on }] : []));
}

function noticeOf(entry: Entry): NoticeRow {
  const { user, role, name, visibility } = entry.content;
  const known = roleOf(role);
  return {
    type: 'notice',
    key: entry.message_id,
    seq: entry.position.seq,
    sender: entry.sender.user,
    at: Date.parse(entry.at),
    kind: entry.kind as NoticeRow['kind'],
    ...(typeof user === 'string' && { user }),
    ...(known && { role: known }),
    ...(typeof name === 'string' && { name }),
    ...(typeof visibility === 'string' && { visibility }),
  };
}

function mentionsOf(of: Pick<Entry, 'mentions'>): MessageRow['mentions'] {
  return of.mentions ? { users: of.mentions.users ?? [], room: of.mentions.room ?? false } : NO_MENTIONS;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

