/** The public interface in one tab: readable state of its model, actions of the tab that leads. */
import { SMALL_ROOM_MEMBERS } from '../engine/settings';
import { ClientError } from '../error';
import type { Actions, Client, FriendList, Member, MemberList, Presence, Profile, Readable, RoomRow, SessionList, Settings, Thread, Timeline } from '../interface';
import { Cell, Cells } from '../model/cell';
import { draftKey, type Model } from '../model/model';
import { profileOf } from '../model/people';
import type { FriendOut, MemberOut, Profile as WireProfile, SessionOut } from '../wire/http';
import { actions } from './actions';
import type { Environment } from './environment';
import { path, query, type Call } from './http';
import type { Tab } from './tab';

/** Profiles asked for in one call. */
const PROFILES = 100;
/** Waiting for more users to ask for together, ms. */
const GATHER_MS = 20;
/** Members of one page. */
const MEMBERS = 100;
/** How often rows whose time may be up are looked at, ms. */
const EXPIRY_MS = 1_000;

const NO_MEMBERS: MemberList = { members: [], loading: false, more: true };

/** What the lists of this tab hold, and how they are loaded. */
export class Lists {
  readonly model: Model;
  readonly tab: Tab;
  readonly environment: Environment;
  friendList: FriendList = { friends: [], loaded: false };
  sessionList: SessionList = { sessions: [], loaded: false };
  readonly memberLists = new Map<string, MemberList>();
  readonly #memberPages = new Map<string, string>();
  readonly friends: Cell<FriendList>;
  readonly sessions: Cell<SessionList>;
  readonly members: Cells<MemberList>;
  readonly #wanted = new Set<string>();
  #gathering: unknown;

  constructor(model: Model, tab: Tab, environment: Environment) {
    this.model = model;
    this.tab = tab;
    this.environment = environment;
    this.friends = new Cell(model.batch, () => this.friendList);
    this.friends.onFirst = () => void tab.ready.then(() => this.loadFriends()).catch(() => {});
    model.onFriends = () => {
      if (this.friendList.loaded) void this.loadFriends().catch(() => {});
    };
    model.onMembers = (room) => {
      if (this.memberLists.has(room)) void this.loadMembers(room, true).catch(() => {});
    };
    this.sessions = new Cell(model.batch, () => this.sessionList);
    this.members = new Cells((room) => new Cell(model.batch, () => this.memberLists.get(room) ?? NO_MEMBERS));
  }

  call<T>(call: Call): Promise<T> {
    const isWrite = call.method !== 'GET';
    return this.tab.backend.call(isWrite ? { key: this.environment.uuid(), ...call } : call) as Promise<T>;
  }

  /** Asks for a profile soon, together with others. */
  wantProfile(user: string): void {
    if (this.model.people.knows(user)) return;
    this.#wanted.add(user);
    this.#gathering ??= this.environment.setTimer(() => void this.#askProfiles(), GATHER_MS);
  }

  async #askProfiles(): Promise<void> {
    this.#gathering = undefined;
    const users = [...this.#wanted].slice(0, PROFILES);
    for (const user of users) this.#wanted.delete(user);
    if (users.length === 0) return;
    if (this.#wanted.size > 0) this.#gathering = this.environment.setTimer(() => void this.#askProfiles(), GATHER_MS);
    try {
      const { users: found } = await this.call<{ users: WireProfile[] }>({ method: 'GET', path: `/users${query({ ids: users.join(',') })}` });
      this.model.apply({ type: 'profiles', profiles: found });
      void this.tab.backend.learn(found);
    } catch {
      // The next subscriber asks again.
    }
  }

  async loadFriends(): Promise<void> {
    const friends: FriendOut[] = [];
    let after: string | undefined;
    do {
      const page = await this.call<{ friends: FriendOut[]; next?: string }>({ method: 'GET', path: `/friends${query({ after })}` });
      friends.push(...page.friends);
      after = page.next;
    } while (after !== undefined);
    this.model.apply({ type: 'profiles', profiles: friends.map((friend) => friend.user) });
    this.friendList = { friends: friends.map(({ user, status }) => ({ user: profileOf(user), status })), loaded: true };
    this.friends.touch();
  }

  async loadSessions(): Promise<void> {
    try {
      const { sessions } = await this.call<{ sessions: SessionOut[] }>({ method: 'GET', path: '/sessions' });
      const shown = sessions.map(({ id, name, kind, created_at, last_used_at, current }) => ({
        id,
        name,
        kind,
        createdAt: Date.parse(created_at),
        lastUsedAt: Date.parse(last_used_at),
        current,
      }));
      this.sessionList = { sessions: shown, loaded: true };
    } catch (error) {
      if (error instanceof ClientError) this.sessionList = { ...this.sessionList, error };
      throw error;
    } finally {
      this.sessions.touch();
    }
  }

  async loadMembers(room: string, anew: boolean): Promise<void> {
    const held = anew ? NO_MEMBERS : (this.memberLists.get(room) ?? NO_MEMBERS);
    if (held.loading || !held.more) return;
    this.#setMembers(room, { ...(anew ? (this.memberLists.get(room) ?? NO_MEMBERS) : held), loading: true });
    try {
      const after = anew ? undefined : this.#memberPages.get(room);
      const call = path`/rooms/${room}/members` + query({ after, limit: MEMBERS });
      const page = await this.call<{ members: MemberOut[]; next?: string }>({ method: 'GET', path: call });
      const fresh = page.members.map((one): Member => ({ user: profileOf(one.user), role: one.role, joinedAt: Date.parse(one.joined_at) }));
      if (page.next === undefined) this.#memberPages.delete(room);
      else this.#memberPages.set(room, page.next);
      this.#setMembers(room, { members: [...held.members, ...fresh], loading: false, more: page.next !== undefined });
      void this.tab.backend.membersRead(room, page.members);
    } catch (error) {
      const failed = error instanceof ClientError ? { error } : {};
      this.#setMembers(room, { ...held, loading: false, ...failed });
      throw error;
    }
  }

  #setMembers(room: string, list: MemberList): void {
    this.memberLists.set(room, list);
    this.members.touch(room);
  }

  /** Everything belongs to the one who is signed in. */
  clear(): void {
    this.friendList = { friends: [], loaded: false };
    this.sessionList = { sessions: [], loaded: false };
    this.memberLists.clear();
    this.#memberPages.clear();
    this.friends.touch();
    this.sessions.touch();
    this.members.touchAll();
  }
}

/** Joins model, lists and tab to the client views see. */
export function clientOf(model: Model, tab: Tab, environment: Environment): Client {
  const lists = new Lists(model, tab, environment);
  const views = new Map<string, number>();
  const look = (): void => {
    const rooms = [...views.keys()];
    const visible = environment.isVisible() ? rooms : [];
    tab.look({ rooms, presence: model.people.presence.watched() }, visible);
  };
  const open = async (room: string): Promise<void> => {
    const opened = await tab.backend.open(room);
    if (opened && !tab.isLeader) model.apply({ type: 'opened', room, opened });
  };

  const timeline = (room: string): Readable<Timeline> => {
    const view = model.timelineOf(room);
    view.timeline.onFirst ??= () => {
      if (!view.isOpened) void tab.ready.then(() => open(room)).catch(() => {});
    };
    return view.timeline;
  };
  // A room is shown as soon as the list names it; its log is there a moment later.
  model.onJoined = (room) => {
    if (model.isLookedAt(room)) void open(room).catch(() => {});
  };
  model.onPanelRow = (room, seq) => {
    const { thread } = model.timelineOf(room).find(seq) ?? {};
    if (thread === undefined) return;
    const page = tab.backend.page(room, { after: seq - 1, limit: 1, thread }, 'above');
    void page.then(({ entries }) => entries.forEach((entry) => model.timelineOf(room).update(entry))).catch(() => {});
  };
  const presence = (user: string): Readable<Presence> => {
    const cell = model.people.presence.of(user);
    cell.onFirst ??= look;
    cell.onLast ??= look;
    return cell;
  };
  const profile = (user: string): Readable<Profile | undefined> => {
    const cell = model.people.profile.of(user);
    cell.onFirst ??= () => lists.wantProfile(user);
    return cell;
  };
  // Receipts are pushed while one is connected: they are read once a connection.
  const receiptsRead = new Set<string>();
  const readReceipts = (room: string): void => {
    // All members of a room that has receipts are read for them.
    const small = (model.facts.get(room)?.memberCount ?? Infinity) <= SMALL_ROOM_MEMBERS;
    if (!small || receiptsRead.has(room)) return;
    receiptsRead.add(room);
    void tab.ready.then(() => lists.loadMembers(room, true)).catch(() => receiptsRead.delete(room));
  };
  let wasOnline = false;
  const endStatus = model.status.subscribe(() => {
    const isOnline = model.status.get().connection === 'online';
    if (wasOnline && !isOnline) receiptsRead.clear();
    if (!wasOnline && isOnline) model.receipts.watched().forEach(readReceipts);
    wasOnline = isOnline;
  });
  const receipts = (room: string): Client['receipts'] extends (room: string) => infer R ? R : never => {
    const cell = model.receipts.of(room);
    cell.onFirst ??= () => readReceipts(room);
    return cell;
  };

  let isOpen = true;
  const expire = (): void => {
    if (!isOpen) return;
    model.expire();
    model.people.expireTyping(environment.now());
    environment.setTimer(expire, EXPIRY_MS);
  };
  environment.setTimer(expire, EXPIRY_MS);

  const endSigns = environment.onSigns((sign) => {
    if (sign === 'visible' || sign === 'hidden') look();
  });
  let user = model.myId;
  const endAccount = model.account.subscribe(() => {
    if (model.myId !== user) {
      lists.clear();
      receiptsRead.clear();
    }
    user = model.myId;
  });

  const doings: Actions = actions(lists, {
    open: (room) => open(room),
    view: (room) => {
      views.set(room, (views.get(room) ?? 0) + 1);
      look();
      let isEnded = false;
      return () => {
        if (isEnded) return;
        isEnded = true;
        const left = (views.get(room) ?? 1) - 1;
        if (left > 0) views.set(room, left);
        else views.delete(room);
        look();
      };
    },
  });

  return {
    ...doings,
    account: model.account,
    status: model.status,
    warnings: model.warnings,
    me: model.me,
    rooms: model.book.list,
    room: (room): Readable<RoomRow | undefined> => model.book.room.of(room),
    timeline,
    thread: (room, root): Readable<Thread> => model.timelineOf(room).threads.of(String(root)),
    receipts,
    members: (room) => lists.members.of(room),
    typing: (room) => model.people.typing.of(room),
    presence,
    profile,
    friends: lists.friends,
    sessions: lists.sessions,
    draft: (room, thread) => model.draft.of(draftKey(room, thread)),
    settings: model.settings as Readable<Settings>,
    onNotification: (listener) => subscribe(tab.notifications, listener),
    onRead: (listener) => subscribe(tab.reads, listener),
    close: async () => {
      isOpen = false;
      endSigns();
      endStatus();
      endAccount();
      await tab.close();
    },
  };
}

function subscribe<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
