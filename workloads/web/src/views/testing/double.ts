import type { Account, Client, Draft, MessageRow, RoomRow, Settings, Status, Warning } from '../../core/interface';
import { ClientError } from '../../core/error';
import { valueOf } from '../value';
import { cells, fixed } from './cell';
import { ME, PEOPLE, PRESENCE } from './people';
import { fakeRooms } from './rooms';
import { message, NOW } from './script';
import { timelineOf } from './timeline';

export interface Scenario {
  readonly signedOut?: boolean;
  readonly empty?: boolean;
  readonly connection?: Status['connection'];
  readonly warning?: Warning['code'];
  readonly settings?: Partial<Settings>;
  readonly typing?: boolean;
}

/** A client in memory, for looking at views without a server. It is no part of what is shipped. */
export function openDouble(scenario: Scenario = {}): Client {
  const rooms = new Map((scenario.empty ? [] : fakeRooms()).map((room) => [room.row.id, room]));
  const account = valueOf<Account>(scenario.signedOut ? { state: 'signed-out' } : { state: 'signed-in', user: ME, session: 's-1' });
  const settings = valueOf<Settings>({ theme: 'system', density: 'comfortable', language: 'en', notifications: false, sound: false, singleKeyShortcuts: true, sendOnEnter: true, ...scenario.settings });
  const list = () => {
    const rows = [...rooms.values()].map((room) => room.row).sort((one, other) => other.lastAt - one.lastAt);
    return { rows: rows.filter((row) => !row.hidden), hidden: rows.filter((row) => row.hidden), unreadRooms: rows.filter((row) => row.unread > 0 && row.notify !== 'none').length, mentions: rows.reduce((sum, row) => sum + row.mentions, 0), loaded: true };
  };
  const roomList = valueOf(list());
  const room = cells<RoomRow | undefined>((id) => rooms.get(id)?.row);
  const timeline = cells((id) => timelineOf(id, rooms.get(id)?.rows ?? []));
  const threadDrafts = cells<Draft>(() => ({ text: '' }));
  const drafts = cells<Draft>((id) => ({ text: id === 'r-u-farah' ? 'The right-to-left picture is' : '' }));
  const me = valueOf({ ...(PEOPLE[0] as (typeof PEOPLE)[number]), readReceipts: true });
  let own = 1000;

  const change = (id: string, part: Partial<RoomRow>) => {
    const known = rooms.get(id);
    if (!known) return;
    known.row = { ...known.row, ...part };
    room(id).set(known.row);
    roomList.set(list());
  };
  const changeRow = (id: string, target: number | string, part: (row: MessageRow) => Partial<MessageRow>) => {
    const known = rooms.get(id);
    if (!known) return;
    known.rows = known.rows.map((row) => (row.type === 'message' && (row.seq === target || row.key === target) ? { ...row, ...part(row) } : row));
    timeline(id).set({ ...timelineOf(id, known.rows), appended: timeline(id).get().appended });
  };
  const append = (id: string, row: MessageRow) => {
    const known = rooms.get(id);
    if (!known) return;
    known.rows = [...known.rows, row];
    timeline(id).set({ ...timelineOf(id, known.rows), appended: timeline(id).get().appended + 1 });
    change(id, { lastAt: row.at, lastMessage: { seq: row.seq ?? 0, sender: row.sender, mine: row.mine, at: row.at, kind: 'text', text: row.text, deleted: false } });
  };
  // For tests: window.double.say(room, text) is a message of another.
  Object.assign(globalThis, { double: { say: (id: string, text: string, sender = 'u-ada') => append(id, { ...message(++own, sender, 0, text), at: Date.now() }) } });

  const done = () => Promise.resolve();
  return {
    account,
    status: valueOf<Status>({ connection: scenario.connection ?? 'online', unsent: scenario.connection ? 2 : 0, failed: 0, leader: true, clockOffsetMs: 0 }),
    warnings: valueOf<readonly Warning[]>(scenario.warning ? [{ id: 'w', code: scenario.warning }] : []),
    me,
    rooms: roomList,
    room,
    timeline,
    thread: cells(() => {
      const rows = rooms.get('r-launch')?.rows.filter((row): row is MessageRow => row.type === 'message') ?? [];
      const root = rows.find((row) => row.seq === 11);
      return { ...(root && { root }), rows: [...rows.filter((row) => row.thread === 11), message(901, ME, 48, 'Then it stays.', { thread: 11 }), message(902, 'u-elif', 47, 'Thanks, both of you 🙏', { thread: 11 })], loading: false, more: false };
    }),
    receipts: () => fixed({ deliveredByAll: 20, readByAll: 16, people: [] }),
    members: cells(() => ({ members: PEOPLE.map((user, index) => ({ user, role: index === 0 ? ('owner' as const) : index === 1 ? ('admin' as const) : ('member' as const), joinedAt: NOW })), loading: false, more: false })),
    typing: cells((id) => (scenario.typing && id === 'r-launch' ? ['u-elif', 'u-dmitri'] : [])),
    presence: cells((user) => ({ status: PRESENCE[user] ?? 'offline', lastActive: NOW - 3_600_000 })),
    profile: cells((user) => PEOPLE.find((one) => one.id === user)),
    friends: fixed({
      friends: scenario.empty ? [] : [
        { user: PEOPLE[7]!, status: 'incoming' as const }, { user: PEOPLE[1]!, status: 'accepted' as const }, { user: PEOPLE[5]!, status: 'accepted' as const }, { user: PEOPLE[4]!, status: 'accepted' as const }, { user: PEOPLE[3]!, status: 'requested' as const }, { user: PEOPLE[2]!, status: 'blocked' as const },
      ],
      loaded: true,
    }),
    sessions: fixed({
      sessions: [
        { id: 's-1', name: 'Chromium, Linux', kind: 'device', createdAt: NOW - 86_400_000 * 3, lastUsedAt: NOW, current: true },
        { id: 's-2', name: 'Safari, iPhone', kind: 'device', createdAt: NOW - 86_400_000 * 40, lastUsedAt: NOW - 3_600_000 * 2, current: false },
        { id: 's-3', name: 'klatch on build-7', kind: 'device', createdAt: NOW - 86_400_000 * 200, lastUsedAt: NOW - 86_400_000 * 9, current: false },
      ],
      loaded: true,
    }),
    draft: (id, root) => (root === undefined ? drafts(id) : threadDrafts(`${id}/${root}`)),
    settings,
    onNotification: () => () => undefined,
    onRead: () => () => undefined,
    close: done,

    signUp: async ({ username }) => {
      if (username === 'ada') throw new ClientError('username_taken', 'taken', { fields: [{ field: 'username', detail: 'This name is taken.' }] });
      account.set({ state: 'signed-in', user: ME, session: 's-1' });
    },
    signIn: async ({ password }) => {
      if (password === 'wrong') throw new ClientError('unauthenticated', 'wrong');
      account.set({ state: 'signed-in', user: ME, session: 's-1' });
    },
    signOut: async () => account.set({ state: 'signed-out', reason: 'asked' }),
    send: async (id, { text, replyTo, thread }) => {
      const row = { ...message(undefined, ME, 0, text, { key: `own-${++own}`, state: 'sending', ...(replyTo !== undefined && { replyTo }), ...(thread !== undefined && { thread }) }), at: Date.now() };
      append(id, row);
      const seq = own;
      setTimeout(() => changeRow(id, row.key, () => ({ state: 'sent', seq })), 150);
      return row.key;
    },
    edit: async (id, target, text) => changeRow(id, target, () => ({ text, editedAt: Date.now() })),
    delete: async (id, target) => changeRow(id, target, () => ({ deleted: true, text: '', reactions: [] })),
    react: async (id, target, emoji, on) =>
      changeRow(id, target, (row) => {
        const others = row.reactions.filter((one) => one.emoji !== emoji);
        const count = (row.reactions.find((one) => one.emoji === emoji)?.count ?? 0) + (on ? 1 : -1);
        return { reactions: count > 0 ? [...others, { emoji, count, mine: on }] : others };
      }),
    retry: async (id) => rooms.forEach((_, roomId) => changeRow(roomId, id, () => ({ state: 'sent', seq: ++own }))),
    cancel: async (id) => {
      for (const [roomId, known] of rooms) {
        known.rows = known.rows.filter((row) => row.key !== id);
        timeline(roomId).set(timelineOf(roomId, known.rows));
      }
    },
    markRead: (id, seq) => {
      const known = rooms.get(id);
      if (known && seq > known.row.readSeq) change(id, { readSeq: seq, unread: Math.max(0, known.row.headSeq - seq), ...(seq >= known.row.headSeq && { unread: 0, mentions: 0 }) });
    },
    markUnread: async (id) => change(id, { markedUnread: true }),
    view: () => () => undefined,
    typingIn: () => undefined,
    loadOlder: done,
    loadAround: () => Promise.resolve(true),
    fillGap: done,
    loadThread: done,
    markThreadRead: () => undefined,
    reconnect: () => undefined,
    createDirect: async (user) => `r-${user}`,
    createGroup: async () => 'r-books',
    changeRoom: async (id, { name, visibility }) => change(id, { ...(name && { title: name }), ...(visibility && { visibility }) }),
    deleteRoom: done,
    findPublicRooms: async (query) => [{ id: 'r-design', name: 'design reviews', memberCount: 24 }, { id: 'p-2', name: 'Help desk', memberCount: 310 }, { id: 'p-3', name: 'Photography', memberCount: 57 }].filter((one) => one.name.toLowerCase().includes(query.toLowerCase())),
    join: done,
    leave: done,
    addMember: done,
    removeMember: done,
    changeRole: done,
    loadMembers: done,
    changePreferences: async (id, part) => change(id, part),
    findUsers: async (query) => PEOPLE.filter((one) => `${one.displayName} ${one.username}`.toLowerCase().includes(query.toLowerCase())),
    loadFriends: done,
    befriend: done,
    unfriend: done,
    block: done,
    unblock: done,
    changeProfile: async ({ displayName }) => me.set({ ...me.get(), ...(displayName && { displayName }) }),
    changePassword: done,
    deleteAccount: done,
    loadSessions: done,
    revokeSession: done,
    saveDraft: (id, draft) => change(id, { hasDraft: draft.text !== '' }),
    changeSettings: (part) => settings.set({ ...settings.get(), ...part }),
    dismissWarning: () => undefined,
  };
}
