import { expect, it } from 'vitest';
import { Model } from '../../src/core/model/model';
import type { Entry } from '../../src/core/wire/entry';
import type { RoomOut } from '../../src/core/wire/http';
import { isSameFace } from '../../src/views/room/face';

const peer = { id: 'ben', username: 'ben', display_name: 'Ben' };
const out: RoomOut = { id: 'r', kind: 'direct', peer, member_count: 2, role: 'member', head: { generation: 1, seq: 1 }, head_ordinal: 1, read: { generation: 1, seq: 1 }, read_ordinal: 1, unread_mentions: 0, preferences: { notify: 'all' } };
const entry: Entry = { position: { generation: 1, seq: 2 }, prev_seq: 1, ordinal: 2, message_id: 'm', sender: { user: 'ben', session: 's' }, at: '2026-11-25T10:00:00.000Z', kind: 'text', content_type: 'text/plain', content: { text: 'hello' } };

it('messages, reading and drafts leave a room its face; a name and a mute do not', () => {
  const model = new Model(() => 0);
  model.apply({ type: 'account', account: { state: 'signed-in', user: 'me', session: 's' } });
  model.apply({ type: 'listed', rooms: [out], all: true });
  const face = () => model.book.room.of('r').get();
  const first = face();
  model.apply({ type: 'appended', room: 'r', entries: [entry] });
  model.apply({ type: 'read', room: 'r', seq: 2 });
  model.apply({ type: 'draft', room: 'r', draft: { text: 'well' } });
  expect(face()).not.toBe(first);
  expect(isSameFace(first, face())).toBe(true);
  model.apply({ type: 'listed', rooms: [{ ...out, preferences: { notify: 'none' } }], all: false });
  expect(isSameFace(first, face())).toBe(false);
  model.apply({ type: 'listed', rooms: [{ ...out, peer: { ...peer, display_name: 'Benedict' } }], all: false });
  expect(face()?.title).toBe('Benedict');
  expect(isSameFace(undefined, face())).toBe(false);
});
