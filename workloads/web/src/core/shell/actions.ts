/** What views do, as calls of the leader and of the API. */
import type { Actions, Message, Profile } from '../interface';
import { draftKey } from '../model/model';
import { profileOf } from '../model/people';
import type { Profile as WireProfile } from '../wire/http';
import type { Lists } from './client';
import { path, query } from './http';

/** Rows before and after the one a user jumps to. */
const AROUND = 25;
/** Rows of one piece of a gap. */
const GAP_ROWS = 50;
/** Entries of one page of a thread. */
const THREAD_ROWS = 100;

const DEVICE = 'Web browser';

export function actions(lists: Lists, tab: { open: (room: string) => Promise<void>; view: Actions['view'] }): Actions {
  const { model, environment } = lists;
  const { backend } = lists.tab;
  const quietly = (promise: Promise<unknown>): void => void promise.catch(() => {});
  const change = (room: string, kind: 'edit' | 'delete' | 'reaction', target: number | string, content: { [name: string]: unknown }, mentions?: Message['mentions']) =>
    backend.change(room, environment.uuid(), kind, target, content, mentions);
  const membership = async (room: string, call: Promise<unknown>): Promise<void> => {
    await call;
    if (lists.memberLists.has(room)) await lists.loadMembers(room, true);
  };
  const friendship = async (call: Promise<unknown>): Promise<void> => {
    await call;
    await lists.loadFriends();
  };

  return {
    async signUp({ username, password, displayName, email, deviceName = DEVICE }) {
      const body = { username, password, ...(displayName && { display_name: displayName }), ...(email && { email }) };
      await lists.call({ method: 'POST', path: '/users', body });
      await backend.signIn({ username, password, deviceName });
    },
    signIn: (user) => backend.signIn(user),
    signOut: () => backend.signOut(),

    async send(room, message) {
      const id = environment.uuid();
      await backend.send(room, id, message);
      return id;
    },
    edit: (room, target, text, mentions) => change(room, 'edit', target, { text }, mentions),
    delete: (room, target) => change(room, 'delete', target, {}),
    react: (room, target, emoji, on) => change(room, 'reaction', target, { emoji, on }),
    retry: (id) => backend.retry(id),
    cancel: (id) => backend.cancel(id),

    markRead: (room, seq) => {
      const facts = model.facts.get(room);
      if (facts && (seq > facts.read.seq || facts.markedUnread)) quietly(backend.read(room, seq));
    },
    markUnread: (room) => backend.markUnread(room),
    view: tab.view,
    typingIn: (room) => quietly(backend.typing(room)),

    loadOlder: (room) => backend.older(room),
    async loadAround(room, seq) {
      const view = model.timelineOf(room);
      if (!view.isOpened) await tab.open(room);
      if (view.timeline.get().indexOf(seq) >= 0) return true;
      await backend.page(room, { after: Math.max(0, seq - 1 - AROUND), limit: AROUND * 2 }, 'below');
      return view.timeline.get().indexOf(seq) >= 0;
    },
    async fillGap(room, { after, before }, from = 'below') {
      const limit = Math.min(GAP_ROWS, before - after - 1);
      await backend.page(room, from === 'below' ? { before, limit } : { after, limit }, from);
    },
    async loadThread(room, root) {
      const view = model.timelineOf(room);
      if (!view.isOpened) await tab.open(room);
      const after = view.threadEnd(root) ?? root - 1;
      const page = await backend.page(room, { after, limit: THREAD_ROWS, thread: root }, 'above');
      view.threadPage(root, page.entries, page.more);
      if (!view.timeline.get().row(view.timeline.get().indexOf(root)) && after < root) {
        const origin = await backend.page(room, { after: root - 1, limit: 1 }, 'above');
        view.threadPage(root, origin.entries, page.more);
      }
    },
    markThreadRead: (room, root, seq) => {
      const facts = model.facts.get(room);
      if (facts && seq > (facts.threadsRead?.[root] ?? 0)) quietly(backend.threadRead(room, root, seq));
    },
    reconnect: () => quietly(backend.reconnect()),

    async createDirect(user) {
      const { room } = await lists.call<{ room: { id: string } }>({ method: 'POST', path: '/rooms', body: { kind: 'direct', user } });
      await backend.entered(room.id);
      return room.id;
    },
    async createGroup({ name, members, visibility }) {
      const body = { kind: 'group', name, members, ...(visibility && { visibility }) };
      const { room } = await lists.call<{ room: { id: string } }>({ method: 'POST', path: '/rooms', body });
      await backend.entered(room.id);
      return room.id;
    },
    async changeRoom(room, { name, visibility }) {
      const body = { ...(name !== undefined && { name }), ...(visibility && { visibility }) };
      await lists.call({ method: 'PATCH', path: path`/rooms/${room}`, body });
    },
    async deleteRoom(room) {
      await lists.call({ method: 'DELETE', path: path`/rooms/${room}` });
    },
    async findPublicRooms(text) {
      const { rooms } = await lists.call<{ rooms: { id: string; name: string; member_count: number }[] }>({ method: 'GET', path: `/rooms/public${query({ query: text })}` });
      return rooms.map(({ id, name, member_count }) => ({ id, name, memberCount: member_count }));
    },
    async join(room) {
      await lists.call({ method: 'PUT', path: path`/rooms/${room}/members/me` });
      await backend.entered(room);
      // What was written before one came is no news.
      const facts = model.facts.get(room);
      if (facts && facts.read.seq === 0) quietly(backend.read(room, facts.head.seq));
    },
    async leave(room) {
      await lists.call({ method: 'DELETE', path: path`/rooms/${room}/members/me` });
    },
    addMember: (room, user, role) =>
      membership(room, lists.call({ method: 'PUT', path: path`/rooms/${room}/members/${user}`, body: role ? { role } : {} })),
    removeMember: (room, user) => membership(room, lists.call({ method: 'DELETE', path: path`/rooms/${room}/members/${user}` })),
    changeRole: (room, user, role) =>
      membership(room, lists.call({ method: 'PUT', path: path`/rooms/${room}/members/${user}`, body: { role } })),
    loadMembers: (room, anew = false) => lists.loadMembers(room, anew),
    async changePreferences(room, preferences) {
      await lists.call({ method: 'PATCH', path: path`/rooms/${room}/preferences`, body: preferences });
      await backend.refreshRoom(room);
    },

    async findUsers(text): Promise<readonly Profile[]> {
      const { users } = await lists.call<{ users: WireProfile[] }>({ method: 'GET', path: `/users${query({ query: text })}` });
      model.apply({ type: 'profiles', profiles: users });
      return users.map(profileOf);
    },
    loadFriends: () => lists.loadFriends(),
    befriend: (user) => friendship(lists.call({ method: 'PUT', path: path`/friends/${user}` })),
    unfriend: (user) => friendship(lists.call({ method: 'DELETE', path: path`/friends/${user}` })),
    block: (user) => friendship(lists.call({ method: 'PUT', path: path`/blocks/${user}` })),
    unblock: (user) => friendship(lists.call({ method: 'DELETE', path: path`/blocks/${user}` })),

    async changeProfile({ displayName, email, status, readReceipts, doNotDisturbUntil }) {
      const body = {
        ...(displayName !== undefined && { display_name: displayName }),
        ...(email !== undefined && { email }),
        ...(status !== undefined && { status }),
        ...(readReceipts !== undefined && { read_receipts: readReceipts }),
        ...(doNotDisturbUntil !== undefined && { do_not_disturb_until: doNotDisturbUntil }),
      };
      await lists.call({ method: 'PATCH', path: '/users/me', body });
      await backend.refreshMe();
    },
    async changePassword(old, fresh) {
      await lists.call({ method: 'PUT', path: '/users/me/password', body: { old, new: fresh } });
    },
    async deleteAccount() {
      await lists.call({ method: 'DELETE', path: '/users/me' });
      await backend.signOut();
    },
    loadSessions: () => lists.loadSessions(),
    async revokeSession(id) {
      const account = model.account.get();
      if (account.state === 'signed-in' && account.session === id) return backend.signOut();
      await lists.call({ method: 'DELETE', path: path`/sessions/${id}` });
      await lists.loadSessions();
    },

    saveDraft: (room, draft, thread) => quietly(backend.draft(draftKey(room, thread), draft)),
    changeSettings: (settings) => quietly(backend.settings({ ...model.settings.get(), ...settings })),
    dismissWarning: (id) => quietly(backend.dismiss(id)),
  };
}

