/**
 * What views see of the client: readable state and actions. No view touches anything below this file.
 *
 * Times are milliseconds since 1970 by the server's clock unless a name says otherwise. Ids are UUID strings. A `seq` is a
 * place in one room's log.
 */
import type { ClientError } from './error';

export type UserId = string;
export type RoomId = string;
export type SessionId = string;
/** Made by the client; also a row's key before and after it is stored. */
export type MessageId = string;
export type Seq = number;

/** A value that changes. `get` answers the same object until it does; both functions are bound, for `useSyncExternalStore`. */
export interface Readable<T> {
  readonly get: () => T;
  /** Answers the function that ends it. The first subscriber of a lazy value starts its loading. */
  readonly subscribe: (listener: () => void) => () => void;
}

/* ---- who and how ---------------------------------------------------------------------------------------------- */

export type Account =
  | { readonly state: 'loading' }
  /** `reason` says why a session that was there is over. */
  | { readonly state: 'signed-out'; readonly reason?: 'asked' | 'revoked' | 'closed' }
  | { readonly state: 'signed-in'; readonly user: UserId; readonly session: SessionId };

export interface Status {
  /**
   * `online`: live and caught up. `catching-up`: connected, still fetching what was missed. `connecting`: a try is under
   * way. `waiting`: the next try comes at `retryAt` (this device's clock). `offline`: the device has no network.
   * `stopped`: nothing will be tried until the user acts.
   */
  readonly connection: 'online' | 'catching-up' | 'connecting' | 'waiting' | 'offline' | 'stopped';
  readonly retryAt?: number;
  /** Messages, edits, reactions that are not stored yet, failed ones apart. */
  readonly unsent: number;
  readonly failed: number;
  /** This tab owns the socket. For diagnosis only. */
  readonly leader: boolean;
  /** Server time minus this device's clock. */
  readonly clockOffsetMs: number;
}

/** Something the user should be told once, plainly. */
export interface Warning {
  readonly id: string;
  /**
   * `storage_unavailable`: private mode or blocked, nothing is kept after the tab closes. `storage_full`: the device has no
   * room, from now on nothing more is kept. `storage_blocked`: another tab runs an older version, close it.
   */
  readonly code: 'storage_unavailable' | 'storage_full' | 'storage_blocked' | 'storage_lost';
}

export interface StatusLine {
  readonly text: string;
  readonly emoji: string;
  readonly until?: string;
}

export interface Profile {
  readonly id: UserId;
  readonly username: string;
  readonly displayName: string;
  readonly avatar?: string;
  readonly status?: StatusLine;
}

export interface Me extends Profile {
  readonly email?: string;
  readonly readReceipts: boolean;
  readonly doNotDisturbUntil?: string;
}

export interface Presence {
  readonly status: 'online' | 'away' | 'offline' | 'unknown';
  readonly lastActive?: number;
}

/* ---- rooms ---------------------------------------------------------------------------------------------------- */

export type Notify = 'all' | 'mentions' | 'none';
export type Role = 'owner' | 'admin' | 'member';

export interface LastMessage {
  readonly seq: Seq;
  readonly sender: UserId;
  readonly mine: boolean;
  readonly at: number;
  readonly kind: string;
  /** First characters of the text; empty for other kinds and deleted ones. */
  readonly text: string;
  readonly deleted: boolean;
}

/** One line of the room list; also all facts of a room's header. */
export interface RoomRow {
  readonly id: RoomId;
  readonly kind: 'direct' | 'group';
  /** A group's name, or the other person's; never empty. */
  readonly title: string;
  readonly peer?: Profile;
  readonly visibility?: 'private' | 'public';
  readonly memberCount: number;
  readonly role: Role;
  readonly unread: number;
  readonly mentions: number;
  readonly markedUnread: boolean;
  readonly notify: Notify;
  readonly hidden: boolean;
  readonly lastMessage?: LastMessage;
  /** For sorting: of the last message, else of the room's making as far as known here. */
  readonly lastAt: number;
  /** Everything up to here is read: the new-messages line goes after it. Freeze it when the room is opened. */
  readonly readSeq: Seq;
  readonly headSeq: Seq;
  readonly hasDraft: boolean;
  /** Own messages here that were refused for good. */
  readonly failed: number;
  /** We were removed, the room's rows are gone; the list drops it. */
  readonly left: boolean;
}

export interface RoomList {
  /** The latest first; hidden ones are not in it. A row is the same object until the room changes. */
  readonly rows: readonly RoomRow[];
  readonly hidden: readonly RoomRow[];
  /** Of rooms that are not muted. */
  readonly unreadRooms: number;
  readonly mentions: number;
  /** False until the list was read for the first time on this device. */
  readonly loaded: boolean;
}

export interface Member {
  readonly user: Profile;
  readonly role: Role;
  readonly joinedAt: number;
}

export interface MemberList {
  /** The pages read so far; `loadMembers` reads the next. */
  readonly members: readonly Member[];
  readonly loading: boolean;
  readonly more: boolean;
  readonly error?: ClientError;
}

/** How far the others have come, in rooms of up to 32 members. */
export interface Receipts {
  /** Everyone else has received, read everything up to here. A sent row at or below is delivered, read. */
  readonly deliveredByAll: Seq;
  readonly readByAll: Seq;
  readonly people: readonly { readonly user: UserId; readonly read: Seq; readonly delivered: Seq }[];
}

export interface PublicRoom {
  readonly id: RoomId;
  readonly name: string;
  readonly memberCount: number;
}

/* ---- timeline ------------------------------------------------------------------------------------------------- */

export interface Reaction {
  readonly emoji: string;
  readonly count: number;
  readonly mine: boolean;
}

export interface Failure {
  readonly code: string;
  readonly detail: string;
}

/** queued: waits (offline, or behind others). sending: on its way. sent: stored. failed: refused, see `failure`. */
export type MessageState = 'queued' | 'sending' | 'sent' | 'failed';

/** A message as it stands, own unsent changes included. The same object until something about it changes. */
export interface MessageRow {
  readonly type: 'message';
  /** The message id. */
  readonly key: string;
  /** Absent until it is stored. */
  readonly seq?: Seq;
  readonly sender: UserId;
  readonly mine: boolean;
  readonly at: number;
  readonly kind: string;
  /** Of kind text; else empty. Never HTML: render it as the Markdown subset. */
  readonly text: string;
  readonly content: unknown;
  readonly replyTo?: Seq;
  readonly thread?: Seq;
  /** Others have answered in the thread that begins with it. */
  readonly replies?: Replies;
  /** It names us, or everyone. */
  readonly mentionsMe: boolean;
  readonly mentions: { readonly users: readonly UserId[]; readonly room: boolean };
  readonly reactions: readonly Reaction[];
  readonly editedAt?: number;
  readonly deleted: boolean;
  /** Its time was up: the content is gone. */
  readonly expired: boolean;
  readonly expiresAt?: number;
  readonly silent: boolean;
  readonly state: MessageState;
  readonly failure?: Failure;
  /** An edit, delete or reaction of ours on it is not stored yet. */
  readonly pending: boolean;
  /** One of them was refused; `retry` and `cancel` take `changeId`. */
  readonly changeFailure?: Failure & { readonly changeId: MessageId };
}

/** What a thread's first message says of it. */
export interface Replies {
  readonly count: number;
  /** False: the thread has answers that are not held here. */
  readonly complete: boolean;
  readonly lastAt: number;
  /** Who answered, the latest first; a few of them. */
  readonly people: readonly UserId[];
  /** Of others, since we looked into the thread or answered in it; only of threads we take part in. */
  readonly unread: number;
}

/** Something that happened in the room. */
export interface NoticeRow {
  readonly type: 'notice';
  readonly key: string;
  readonly seq: Seq;
  readonly sender: UserId;
  readonly at: number;
  readonly kind: 'member_joined' | 'member_left' | 'role_changed' | 'room_changed';
  readonly user?: UserId;
  readonly role?: Role;
  readonly name?: string;
  readonly visibility?: string;
}

/** Rows between `after` and `before` (both exclusive) are not held. Show a placeholder and call `fillGap`. */
export interface GapRow {
  readonly type: 'gap';
  readonly key: string;
  readonly after: Seq;
  readonly before: Seq;
}

export type Row = MessageRow | NoticeRow | GapRow;

/**
 * A room's rows, oldest first, own unsent messages at the end. The object is new after each change, but shares its rows with
 * the one before: nothing is copied, so read `row(index)` only from the latest `get()`.
 */
export interface Timeline {
  readonly room: RoomId;
  readonly length: number;
  /** The row, or undefined out of range. Constant time; the same object until the row changes. */
  readonly row: (index: number) => Row | undefined;
  /** Where a stored message stands; -1 when it is not held. Logarithmic. */
  readonly indexOf: (seq: Seq) => number;
  /** Where the first message after this seq stands; -1 when there is none. */
  readonly indexAfter: (seq: Seq) => number;
  /** Rows ever put before the first one. When it differs from the last render, set virtua's `shift`. */
  readonly prepended: number;
  /** Rises when all rows were dropped (jump far ahead, restored server): scroll to the end anew. */
  readonly resets: number;
  /** Rows ever appended by others and us: for announcements and the "new below" button. */
  readonly appended: number;
  /** There is something before the first row. */
  readonly hasOlder: boolean;
  readonly loadingOlder: boolean;
  /** Nothing is known of the room's log yet: show a skeleton. */
  readonly loading: boolean;
  /** The last load failed (`offline` included); the next call tries again. */
  readonly error?: ClientError;
}

export interface Thread {
  readonly root?: MessageRow;
  readonly rows: readonly MessageRow[];
  readonly loading: boolean;
  readonly more: boolean;
}

/* ---- people and this device ------------------------------------------------------------------------------------ */

export interface Friend {
  readonly user: Profile;
  readonly status: 'requested' | 'incoming' | 'accepted' | 'blocked';
}

export interface FriendList {
  readonly friends: readonly Friend[];
  readonly loaded: boolean;
}

export interface Session {
  readonly id: SessionId;
  readonly name: string;
  readonly kind: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly current: boolean;
}

export interface SessionList {
  readonly sessions: readonly Session[];
  readonly loaded: boolean;
  readonly error?: ClientError;
}

export interface Draft {
  readonly text: string;
  readonly replyTo?: Seq;
  /** Seq of the message being edited. */
  readonly editing?: Seq;
}

/** Of this device; kept, wiped at sign-out but for look and language. */
export interface Settings {
  readonly theme: 'system' | 'light' | 'dark' | 'contrast';
  readonly density: 'comfortable' | 'compact';
  readonly language: 'system' | 'en' | 'de';
  /** Notifications while the page is open. */
  readonly notifications: boolean;
  readonly sound: boolean;
  /** WCAG 2.1.4: shortcuts of one key can be turned off. */
  readonly singleKeyShortcuts: boolean;
  readonly sendOnEnter: boolean;
  /** For "no second ask for 30 days". */
  readonly notificationsAskedAt?: number;
}

/** Something to notify of: a message of another that our preferences let through, not in a room visible in any tab. */
export interface Notification {
  readonly room: RoomId;
  readonly title: string;
  readonly row: MessageRow;
}

/* ---- what can be done ------------------------------------------------------------------------------------------ */

export interface Message {
  readonly text: string;
  readonly replyTo?: Seq;
  readonly thread?: Seq;
  readonly mentions?: { readonly users?: readonly UserId[]; readonly room?: boolean };
  readonly silent?: boolean;
  readonly expiresAt?: number;
}

/**
 * Actions on messages never fail for want of a network: they are kept and sent later. They answer as soon as the message is
 * in the outbox. All others reject with `ClientError`; `code` is `offline` when the server could not be asked.
 */
export interface Actions {
  /** Makes the account and signs in on this device. */
  signUp(user: { username: string; password: string; displayName?: string; email?: string; deviceName?: string }): Promise<void>;
  signIn(user: { username: string; password: string; deviceName: string }): Promise<void>;
  /** Ends the session and wipes what this device holds. Offline it wipes all the same. */
  signOut(): Promise<void>;

  send(room: RoomId, message: Message): Promise<MessageId>;
  /** Of an own message. One that is not stored yet is changed before it leaves. */
  edit(room: RoomId, target: Seq | MessageId, text: string, mentions?: Message['mentions']): Promise<void>;
  delete(room: RoomId, target: Seq | MessageId): Promise<void>;
  react(room: RoomId, target: Seq, emoji: string, on: boolean): Promise<void>;
  /** Sends a failed message or change again. */
  retry(id: MessageId): Promise<void>;
  /** Gives up a queued or failed message or change. */
  cancel(id: MessageId): Promise<void>;

  /** Everything up to here was seen; goes forward only, on all devices. Call it freely, it is thinned. */
  markRead(room: RoomId, seq: Seq): void;
  markUnread(room: RoomId): Promise<void>;
  /** The room is on screen in this tab, visible and focused: no notifications of it. Answers the function that ends it. */
  view(room: RoomId): () => void;
  /** This user types in the room. Call it at each key press. */
  typingIn(room: RoomId): void;

  loadOlder(room: RoomId): Promise<void>;
  /** Makes a message and its surroundings part of the timeline; false if the server has no such message. */
  loadAround(room: RoomId, seq: Seq): Promise<boolean>;
  /** Loads rows of a gap next to its lower (the later) or its upper edge: the one the user comes from. */
  fillGap(room: RoomId, gap: GapRow, from?: 'below' | 'above'): Promise<void>;
  loadThread(room: RoomId, root: Seq): Promise<void>;
  /** The thread was seen up to here; goes forward only, kept on this device. */
  markThreadRead(room: RoomId, root: Seq, seq: Seq): void;
  /** Connects now instead of waiting. */
  reconnect(): void;

  createDirect(user: UserId): Promise<RoomId>;
  createGroup(group: { name: string; members: readonly UserId[]; visibility?: 'private' | 'public' }): Promise<RoomId>;
  changeRoom(room: RoomId, change: { name?: string; visibility?: 'private' | 'public' }): Promise<void>;
  deleteRoom(room: RoomId): Promise<void>;
  findPublicRooms(query: string): Promise<readonly PublicRoom[]>;
  join(room: RoomId): Promise<void>;
  leave(room: RoomId): Promise<void>;
  addMember(room: RoomId, user: UserId, role?: Role): Promise<void>;
  removeMember(room: RoomId, user: UserId): Promise<void>;
  changeRole(room: RoomId, user: UserId, role: Role): Promise<void>;
  /** The next page of `members(room)`; `anew` starts from the first. */
  loadMembers(room: RoomId, anew?: boolean): Promise<void>;
  changePreferences(room: RoomId, change: { notify?: Notify; hidden?: boolean }): Promise<void>;

  findUsers(query: string): Promise<readonly Profile[]>;
  loadFriends(): Promise<void>;
  /** Asks, or accepts when asked. */
  befriend(user: UserId): Promise<void>;
  /** Ends a friendship, withdraws or declines a request. */
  unfriend(user: UserId): Promise<void>;
  block(user: UserId): Promise<void>;
  unblock(user: UserId): Promise<void>;

  changeProfile(change: {
    displayName?: string;
    email?: string | null;
    status?: StatusLine | null;
    readReceipts?: boolean;
    doNotDisturbUntil?: string | null;
  }): Promise<void>;
  changePassword(old: string, fresh: string): Promise<void>;
  /** Leaves all groups, ends all sessions, wipes this device. What was written stays. */
  deleteAccount(): Promise<void>;
  loadSessions(): Promise<void>;
  revokeSession(id: SessionId): Promise<void>;

  /** Of the room, or of one of its threads. */
  saveDraft(room: RoomId, draft: Draft, thread?: Seq): void;
  changeSettings(change: Partial<Settings>): void;
  dismissWarning(id: string): void;
}

export interface Client extends Actions {
  readonly account: Readable<Account>;
  readonly status: Readable<Status>;
  readonly warnings: Readable<readonly Warning[]>;
  readonly me: Readable<Me | undefined>;
  readonly rooms: Readable<RoomList>;
  /** Undefined: no such room, or we are not in it. */
  readonly room: (room: RoomId) => Readable<RoomRow | undefined>;
  readonly timeline: (room: RoomId) => Readable<Timeline>;
  readonly thread: (room: RoomId, root: Seq) => Readable<Thread>;
  readonly receipts: (room: RoomId) => Readable<Receipts>;
  readonly members: (room: RoomId) => Readable<MemberList>;
  /** Who types there now, ourselves apart; the latest first. */
  readonly typing: (room: RoomId) => Readable<readonly UserId[]>;
  /** Watched while somebody subscribes. */
  readonly presence: (user: UserId) => Readable<Presence>;
  /** Loaded when somebody subscribes; many at once in one call. */
  readonly profile: (user: UserId) => Readable<Profile | undefined>;
  readonly friends: Readable<FriendList>;
  readonly sessions: Readable<SessionList>;
  readonly draft: (room: RoomId, thread?: Seq) => Readable<Draft>;
  readonly settings: Readable<Settings>;
  /** Calls back for each message to notify of, in one tab only (the leader). */
  readonly onNotification: (listener: (notification: Notification) => void) => () => void;
  /** Calls back when a room's messages were read elsewhere: take its notifications away. */
  readonly onRead: (listener: (room: RoomId) => void) => () => void;
  /** Closes socket and database; for tests and before a reload. */
  readonly close: () => Promise<void>;
}
