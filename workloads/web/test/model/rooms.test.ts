import { expect, test } from 'vitest';
import { Model } from '../../src/core/model/model';
import type { News } from '../../src/core/model/news';
import type { Entry } from '../../src/core/wire/entry';
import type { RoomOut } from '../../src/core/wire/http';

function out(more: Partial<RoomOut> = {}): RoomOut {
  return { id: 'r', kind: 'group', name: 'Tea', member_count: 3, role: 'member', head: { generation: 1, seq: 10 }, head_ordinal: 8, read: { generation: 1, seq: 5 }, read_ordinal: 4, unread_mentions: 1, preferences: { notify: 'all' }, ...more };
}

function entry(seq: number, more: Partial<Entry> = {}): Entry {
  return { position: { generation: 1, seq }, prev_seq: seq - 1, ordinal: seq - 2, message_id: `m${seq}`, sender: { user: 'ben', session: 's' }, at: '2026-11-25T10:00:00.000Z', kind: 'text', content_type: 'text/plain', content: { text: `line ${seq}` }, ...more };
}

function model(...news: News[]): Model {
  const fresh = new Model(() => 0);
  fresh.apply({ type: 'account', account: { state: 'signed-in', user: 'me', session: 's' } });
  for (const one of [{ type: 'listed', rooms: [out()], all: true } as const, ...news]) fresh.apply(one);
  return fresh;
}

const row = (of: Model) => of.book.room.of('r').get();

test('unread is the ordinal of the head less that of what was read', () => {
  expect(row(model())).toMatchObject({ unread: 4, mentions: 1, readSeq: 5, title: 'Tea' });
  const mention = entry(12, { mentions: { users: ['me'] } });
  const more = model({ type: 'appended', room: 'r', entries: [entry(11), mention] });
  expect(row(more)).toMatchObject({ unread: 6, mentions: 2, headSeq: 12, lastMessage: { seq: 12, text: 'line 12' } });
});

test('reading to the end leaves nothing; reading backwards changes nothing', () => {
  const of = model({ type: 'appended', room: 'r', entries: [entry(11)] }, { type: 'read', room: 'r', seq: 11 });
  expect(row(of)).toMatchObject({ unread: 0, mentions: 0, readSeq: 11 });
  const before = row(of);
  of.apply({ type: 'read', room: 'r', seq: 6 });
  of.apply({ type: 'watermark', frame: { type: 'watermark', room: 'r', user: 'me', read: { generation: 1, seq: 7 } } });
  expect(row(of)).toBe(before);
});

test('reading half way counts by the rows held, and asks the server where none are', () => {
  const of = model({ type: 'opened', room: 'r', opened: { generation: 1, pieces: [{ floor: 6, head: 10, entries: [7, 8, 9, 10].map((seq) => entry(seq)) }] } });
  of.apply({ type: 'read', room: 'r', seq: 8 });
  expect(row(of)).toMatchObject({ unread: 2, readSeq: 8 });
  const bare = model({ type: 'read', room: 'r', seq: 8 });
  expect(row(bare)).toMatchObject({ unread: 4 });
  expect([...bare.book.unclear]).toEqual(['r']);
});

test('who sends has read', () => {
  expect(row(model({ type: 'appended', room: 'r', entries: [entry(11, { sender: { user: 'me', session: 's' } })] }))).toMatchObject({ unread: 0, mentions: 0, readSeq: 11 });
});

test('a list that is older than what was pushed takes nothing back', () => {
  const of = model({ type: 'appended', room: 'r', entries: [entry(11)] }, { type: 'read', room: 'r', seq: 11 });
  of.apply({ type: 'listed', rooms: [out({ name: 'Coffee' })], all: true });
  expect(row(of)).toMatchObject({ title: 'Coffee', unread: 0, headSeq: 11, readSeq: 11 });
});

test('after a restore the list of the new generation counts', () => {
  const of = model({ type: 'appended', room: 'r', entries: [entry(11)] });
  of.apply({ type: 'listed', rooms: [out({ head: { generation: 2, seq: 3 }, head_ordinal: 3, read: { generation: 2, seq: 1 }, read_ordinal: 1, unread_mentions: 0 })], all: true });
  expect(row(of)).toMatchObject({ unread: 2, headSeq: 3, readSeq: 1, mentions: 0 });
});

test('rooms not in a whole list, and rooms left, are gone', () => {
  const of = model({ type: 'listed', rooms: [out({ id: 'other' })], all: true });
  expect(of.book.list.get().rows.map((one) => one.id)).toEqual(['other']);
  of.apply({ type: 'left', room: 'other' });
  expect(of.book.list.get().rows).toEqual([]);
});

test('muted rooms are not counted, hidden ones stand apart', () => {
  const of = model({ type: 'listed', rooms: [out({ id: 'muted', preferences: { notify: 'none' } }), out({ id: 'hidden', preferences: { notify: 'all', hidden: true } })], all: false });
  expect(of.book.list.get()).toMatchObject({ unreadRooms: 1, mentions: 1 });
  expect(of.book.list.get().hidden.map((one) => one.id)).toEqual(['hidden']);
});

test('read by all means by all, not by those we have heard of', () => {
  const of = model({ type: 'watermark', frame: { type: 'watermark', room: 'r', user: 'ben', read: { generation: 1, seq: 9 } } });
  expect(of.receipts.of('r').get()).toMatchObject({ readByAll: 0 });
  of.apply({ type: 'watermark', frame: { type: 'watermark', room: 'r', user: 'cyn', delivered: { generation: 1, seq: 8 } } });
  expect(of.receipts.of('r').get()).toMatchObject({ readByAll: 0, deliveredByAll: 8 });
  of.apply({ type: 'appended', room: 'r', entries: [entry(11, { sender: { user: 'cyn', session: 's' } })] });
  of.apply({ type: 'watermark', frame: { type: 'watermark', room: 'r', user: 'ben', read: { generation: 1, seq: 3 } } });
  expect(of.receipts.of('r').get()).toMatchObject({ readByAll: 9, deliveredByAll: 9 });
});

test('a cell answers the same object until its room changes, and tells once', async () => {
  const of = model();
  let calls = 0;
  const end = of.book.room.of('r').subscribe(() => (calls += 1));
  const before = row(of);
  of.apply({ type: 'typing' } as never);
  expect(row(of)).toBe(before);
  of.apply({ type: 'appended', room: 'r', entries: [entry(11)] });
  of.apply({ type: 'appended', room: 'r', entries: [entry(12)] });
  await Promise.resolve();
  expect(calls).toBe(1);
  end();
  of.apply({ type: 'appended', room: 'r', entries: [entry(13)] });
  await Promise.resolve();
  expect(calls).toBe(1);
});

test('typing ends by itself, and with the message', () => {
  const of = model();
  const signal = { type: 'signal', frame: { type: 'signal', room: 'r', user: 'ben', kind: 'typing' } } as const;
  of.apply(signal);
  expect(of.people.typing.of('r').get()).toEqual(['ben']);
  expect(of.people.expireTyping(5_999)).toBe(6_000);
  of.people.expireTyping(6_000);
  expect(of.people.typing.of('r').get()).toEqual([]);
  of.apply(signal);
  of.apply({ type: 'appended', room: 'r', entries: [entry(11)] });
  expect(of.people.typing.of('r').get()).toEqual([]);
});

test('an edit of a message that was on its way follows it to its place', () => {
  const of = model({ type: 'opened', room: 'r', opened: { generation: 1, pieces: [{ floor: 10, head: 10, entries: [] }] } });
  const said = (message_id: string, more: object) => of.apply({ type: 'said', pending: { message: { message_id, room: 'r', draft: { kind: 'text', content: { text: message_id } }, ...more }, state: 'queued', at: 0 } });
  said('mine', {});
  said('edit', { draft: { kind: 'edit', content: { text: 'better' } }, awaits: 'mine' });
  const first = () => of.timelineOf('r').timeline.get().row(0);
  expect(first()).toMatchObject({ key: 'mine', text: 'better', state: 'queued' });
  of.apply({ type: 'message', message_id: 'mine', room: 'r', state: 'stored', position: { generation: 1, seq: 12 }, ordinal: 10, at: 't' });
  // Its row waits for the one before it: meanwhile it stands as sent.
  expect(first()).toMatchObject({ key: 'mine', text: 'better', state: 'sent' });
  of.apply({ type: 'appended', room: 'r', entries: [entry(11, { kind: 'reaction' }), entry(12, { message_id: 'mine', sender: { user: 'me', session: 's' } })] });
  expect(first()).toMatchObject({ key: 'mine', seq: 12, text: 'better', pending: true });
  expect(of.timelineOf('r').timeline.get().length).toBe(1);
});

test('a room nobody has written in yet stands where its first entry or its making puts it', () => {
  const written = out({ id: 'written', last_message: entry(3, { at: '2026-11-25T09:00:00.000Z' }) });
  // 2026-11-25T09:30:00Z in the first 48 bits.
  const made = out({ id: `${Date.parse('2026-11-25T09:30:00.000Z').toString(16).padStart(12, '0').replace(/^(.{8})/, '$1-')}-7000-8000-000000000001` });
  const of = model({ type: 'appended', room: 'fresh', entries: [entry(1, { kind: 'member_joined', content: { user: 'me' } })] });
  of.apply({ type: 'listed', rooms: [written, made, out({ id: 'fresh' }), out({ id: 'unknown' })], all: true });
  expect(of.book.list.get().rows.map((one) => one.id)).toEqual(['fresh', made.id, 'written', 'unknown']);
  // What it says of itself later changes nothing: messages do.
  of.apply({ type: 'listed', rooms: [written, made, out({ id: 'fresh' })], all: true });
  expect(of.book.list.get().rows[0]?.id).toBe('fresh');
});

test('typing changes a room’s line when there is a draft, not with each letter', () => {
  const of = model();
  let told = 0;
  of.book.room.of('r').subscribe(() => (told += 1));
  const type = (text: string) => {
    of.apply({ type: 'draft', room: 'r', draft: { text } });
    of.batch.flush();
  };
  for (const text of ['h', 'he', 'hey']) type(text);
  expect([told, row(of)?.hasDraft]).toEqual([1, true]);
  type('');
  expect([told, row(of)?.hasDraft]).toEqual([2, false]);
});

test('a message that comes before the line of its room is counted although the line is older', () => {
  const written = entry(2, { ordinal: 1, mentions: { users: ['me'] } });
  const of = model({ type: 'appended', room: 'fresh', entries: [entry(1, { kind: 'member_joined', ordinal: 0, content: { user: 'me' } }), written] });
  const line = out({ id: 'fresh', head: { generation: 1, seq: 1 }, head_ordinal: 0, read: { generation: 1, seq: 0 }, read_ordinal: 0, unread_mentions: 0 });
  of.apply({ type: 'listed', rooms: [line], all: false });
  expect(of.book.room.of('fresh').get()).toMatchObject({ unread: 1, mentions: 1, headSeq: 2, lastMessage: { seq: 2 } });
});
