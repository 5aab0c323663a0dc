import type { RoomRow, Row } from '../../core/interface';
import { PEOPLE } from './people';
import { hostileRows, launchRoom, longRoom, message, NOW } from './script';

const MINUTE = 60_000;

export interface FakeRoom {
  row: RoomRow;
  rows: Row[];
}

function room(id: string, title: string, minutesAgo: number, last: string, rows: Row[], more: Partial<RoomRow> = {}): FakeRoom {
  const head = rows.reduce((most, one) => Math.max(most, one.type === 'gap' ? 0 : (one.seq ?? 0)), 0);
  const sender = more.peer?.id ?? 'u-ada';
  return {
    rows,
    row: {
      id, kind: 'group', title, visibility: 'private', memberCount: 8, role: 'owner', unread: 0, mentions: 0, markedUnread: false, notify: 'all', hidden: false,
      lastMessage: { seq: head, sender, mine: false, at: NOW - minutesAgo * MINUTE, kind: 'text', text: last, deleted: false },
      lastAt: NOW - minutesAgo * MINUTE, readSeq: head, headSeq: head, hasDraft: false, failed: 0, left: false, ...more,
    },
  };
}

function direct(user: string, minutesAgo: number, last: string, more: Partial<RoomRow> = {}): FakeRoom {
  const peer = PEOPLE.find((one) => one.id === user);
  if (!peer) throw new Error(user);
  const { visibility: _, ...row } = room(`r-${user}`, peer.displayName, minutesAgo, last, [message(1, 'u-me', minutesAgo + 4, 'Are you there?'), message(2, user, minutesAgo, last)], { kind: 'direct', peer, memberCount: 2, role: 'member', ...more }).row;
  return { row, rows: [message(1, 'u-me', minutesAgo + 4, 'Are you there?'), message(2, user, minutesAgo, last)] };
}

export function fakeRooms(): FakeRoom[] {
  return [
    room('r-launch', 'Launch', 0, '', launchRoom(), { lastMessage: { seq: 20, sender: 'u-me', mine: true, at: NOW, kind: 'text', text: 'And here is the wide one.', deleted: false }, unread: 3, mentions: 1, readSeq: 16, failed: 1 }),
    direct('u-ada', 8, 'Coffee at three? ☕', { unread: 2 }),
    room('r-design', 'design reviews', 34, 'The contrast of the quiet text is fine now, 4.9 to 1.', longRoom(400), { unread: 13, readSeq: 387, visibility: 'public' }),
    direct('u-elif', 75, 'Thank you!'),
    room('r-random', 'random', 130, 'Somebody left a very good cake in the kitchen', longRoom(30), { notify: 'none', unread: 41 }),
    direct('u-farah', 60 * 20, 'شكرًا جزيلاً', { hasDraft: true }),
    direct('u-dmitri', 60 * 26, 'Tests are green again', { markedUnread: true }),
    room('r-hostile', 'A room with a very, very long name that nobody would give it, but somebody has', 60 * 30, 'x'.repeat(400), hostileRows()),
    direct('u-ben', 60 * 49, 'See you on Monday'),
    room('r-books', 'Book club', 60 * 75, 'Chapter nine until Friday', longRoom(12)),
    direct('u-george', 60 * 24 * 12, 'Got it'),
  ];
}
