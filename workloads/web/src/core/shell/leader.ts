/** The tab that owns socket, engine and database, and does what all tabs ask. */
import { ClientError } from '../error';
import type { Change } from '../engine/events';
import type { Account, Draft, Message, Notification, Settings, Status, Warning } from '../interface';
import { DEFAULT_SETTINGS, type Model } from '../model/model';
import type { News, OpenedRoom } from '../model/news';
import { NOTHING, needsTarget } from '../wire/entry';
import type { History, Me, MemberOut, Profile, RoomOut, SignedIn } from '../wire/http';
import type { Watch } from '../wire/frames';
import { Authority } from './authority';
import type { Backend, Page } from './backend';
import type { Kept } from './database';
import { Driver, type Listener } from './driver';
import type { Environment } from './environment';
import { path, type Call } from './http';
import { LeaderMessages } from './leader_messages';
import { LeaderRooms } from './leader_rooms';
import { Keeper } from './keeper';
import { toNotify } from './notify';
import type { SafeDatabase } from './open_database';
import { Watchers } from './watchers';

/** A draft is written at most this long after a key, ms, however fast one types. */
const DRAFT_MS = 400;

export interface LeaderParts {
  readonly environment: Environment;
  readonly server: string;
  readonly database: SafeDatabase;
  readonly model: Model;
  /** To the other tabs. */
  readonly spread: (news: readonly News[]) => void;
  readonly notify: (notification: Notification) => void;
  readonly readElsewhere: (room: string) => void;
  /** Rooms on screen in any tab. */
  readonly isViewed: (room: string) => boolean;
}

export class Leader implements Backend, Listener {
  readonly #parts: LeaderParts;
  readonly #model: Model;
  readonly #keeper: Keeper;
  readonly #authority: Authority;
  readonly #watchers: Watchers;
  readonly #rooms: LeaderRooms;
  readonly #messages: LeaderMessages;
  #driver: Driver | undefined;
  #clockOffset = 0;
  #lastRefreshError: string | undefined;
  #draftTimer: unknown;
  #writing = false;
  #writeAgain = false;

  constructor(parts: LeaderParts) {
    this.#parts = parts;
    this.#model = parts.model;
    this.#keeper = new Keeper(parts.database);
    this.#authority = new Authority(parts.environment, parts.server, () => this.#driver?.tell({ type: 'token_rejected' }));
    this.#watchers = new Watchers((input) => this.#driver?.tell(input));
    const context = {
      environment: parts.environment,
      model: parts.model,
      authority: this.#authority,
      database: parts.database,
      driver: () => this.#driver,
      tell: (...news: readonly News[]) => this.#tell(...news),
      flush: () => this.#flush(),
      clockOffset: () => this.#clockOffset,
    };
    this.#rooms = new LeaderRooms(context);
    this.#messages = new LeaderMessages(context);
  }

  /** Reads what is kept and goes on from there; opened rooms of this tab are opened anew. */
  async start(): Promise<void> {
    const kept = await this.#parts.database.load();
    const opened = this.#model.openedRooms();
    this.#keeper.loaded(kept);
    const { session } = kept;
    const account: Account = session ? { state: 'signed-in', user: session.me.id, session: session.session } : { state: 'loading' };
    this.#reset(kept, account);
    if (session) {
      this.#drive(kept);
      this.#resumeReads();
      for (const room of opened) await this.open(room);
      return;
    }
    await this.#comeBack(kept.ending);
  }

  async stop(): Promise<void> {
    this.#parts.environment.clearTimer(this.#draftTimer);
    const driver = this.#driver;
    driver?.stop();
    await driver?.done();
    await this.save();
  }

  /** The network or the user is back. */
  foreground(): void {
    this.#driver?.tell({ type: 'foreground' });
  }

  networkChanged(): void {
    this.settled();
    if (this.#parts.environment.isOnline()) this.foreground();
  }

  /** The tab may go: what has gathered is written, and waits for nothing. */
  hidden(): void {
    if (this.#keeper.hasWork || this.#driver?.owesSave) void this.save();
  }

  /* ---- coming and going ------------------------------------------------------------------------------------- */

  async signIn({ username, password, deviceName }: { username: string; password: string; deviceName: string }): Promise<void> {
    const body = { username, password, device_name: deviceName, cookie: true };
    const answer = await this.#authority.open<SignedIn>({ method: 'POST', path: '/sessions', body });
    await this.#begin(answer);
  }

  async #begin(answer: SignedIn): Promise<void> {
    this.#driver?.stop();
    this.#driver = undefined;
    let kept = await this.#parts.database.load();
    // What another user left is not for this one's eyes.
    if (kept.session && kept.session.me.id !== answer.user.id) {
      await this.#wipe();
      kept = await this.#parts.database.load();
    }
    const session = { session: answer.session_id, me: answer.user };
    this.#keeper.noteSession(session);
    this.#keeper.noteEnding(false);
    this.#reset({ ...kept, session }, { state: 'signed-in', user: answer.user.id, session: answer.session_id });
    this.#authority.set(answer.access_token);
    this.#drive({ ...kept, session }, answer);
    await this.#flush();
  }

  async signOut(): Promise<void> {
    const account = this.#model.account.get();
    const session = account.state === 'signed-in' ? account.session : undefined;
    let told = session === undefined;
    if (session !== undefined) {
      // Offline this cannot be told now; it is told when a server is there again.
      const isOnline = this.#parts.environment.isOnline() && this.#driver?.engine.isOnline;
      if (isOnline) {
        told = await this.#authority.call({ method: 'DELETE', path: path`/sessions/${session}` }).then(() => true, () => false);
      }
    }
    await this.#end('asked', true, !told);
  }

  async #end(reason: 'asked' | 'revoked' | 'closed', wipe: boolean, ending: boolean): Promise<void> {
    const driver = this.#driver;
    this.#driver = undefined;
    driver?.stop();
    this.#authority.set(undefined);
    if (wipe) await this.#wipe();
    else await this.#keeper.idle();
    if (ending) await this.#parts.database.write({ ending: true });
    this.#tell({ type: 'account', account: { state: 'signed-out', reason } });
    this.settled();
  }

  async #wipe(): Promise<void> {
    this.#keeper.forget();
    await this.#keeper.idle();
    await this.#parts.database.wipe();
  }

  /** No session is kept: the cookie may have one, or one is still to be ended. */
  async #comeBack(ending: boolean): Promise<void> {
    try {
      const answer = await this.#authority.refresh();
      if (!ending) return await this.#begin(answer);
      this.#authority.set(answer.access_token);
      await this.#authority.call({ method: 'DELETE', path: path`/sessions/${answer.session_id}` });
      await this.#parts.database.write({ ending: false });
    } catch (error) {
      const isOver = error instanceof ClientError && error.code !== 'offline';
      if (ending && isOver) await this.#parts.database.write({ ending: false });
    }
    this.#authority.set(undefined);
    this.#tell({ type: 'account', account: { state: 'signed-out' } });
    this.settled();
  }

  #reset(kept: Kept, account: Account): void {
    const facts = kept.rooms.flatMap((room) => room.facts ?? []);
    this.#model.reset({
      account,
      status: this.#status(),
      me: kept.session?.me,
      rooms: facts,
      listLoaded: kept.listLoaded,
      outbox: kept.outbox.map(({ order: _order, said_at, ...message }) => ({ message, state: 'queued', at: said_at })),
      profiles: facts.flatMap((room) => room.peer ?? []),
      oldProfiles: kept.profiles,
      drafts: kept.drafts,
      receipts: kept.rooms.map(({ room, receipts = [] }) => [room, receipts] as const),
      settings: kept.settings ?? DEFAULT_SETTINGS,
      warnings: this.#model.warnings.get(),
    });
    this.#parts.spread([{ type: 'account', account }]);
  }

  #drive(kept: Kept, signedIn?: SignedIn): void {
    const { environment, server, database } = this.#parts;
    const snapshot = {
      ...(kept.session && { user: kept.session.me.id }),
      inbox: kept.inbox ?? NOTHING,
      rooms: kept.rooms.map(({ room, position }) => ({ room, position })),
      outbox: kept.outbox,
    };
    this.#driver = new Driver(environment, server, this.#authority, database, snapshot, this);
    if (signedIn) {
      const { access_token, expires_in_seconds } = signedIn;
      this.#driver.tell({ type: 'token_refreshed', access_token, lives_ms: expires_in_seconds * 1_000 });
    }
    this.#driver.tell({ type: 'start' });
    this.#watchers.again();
  }

  /** What was read in an earlier life and may not have reached the server. */
  #resumeReads(): void {
    for (const facts of this.#model.facts.values()) {
      if (facts.readPending) this.#driver?.tell({ type: 'read', room: facts.id, seq: facts.read.seq });
    }
  }

  /* ---- what the engine tells -------------------------------------------------------------------------------- */

  changed(changes: readonly Change[]): void {
    const wasOnline = this.#driver?.engine.isCaughtUp ?? false;
    this.#tell(...changes);
    for (const change of changes) this.#follow(change, wasOnline);
  }

  #follow(change: Change, isLive: boolean): void {
    switch (change.type) {
      case 'caught_up':
        this.#rooms.caughtUp();
        return void this.#rooms.refreshList();
      case 'joined':
        if (this.#driver?.engine.firstFold === undefined) void this.refreshRoom(change.room).catch(() => {});
        return;
      case 'preferences':
        return void this.refreshRoom(change.room).catch(() => {});
      case 'watermark':
        if (change.frame.user === this.#model.myId && change.frame.read) this.#parts.readElsewhere(change.frame.room);
        return this.#rooms.clearUp();
      case 'appended':
        for (const entry of change.entries) {
          // Only the server knows how a row stands now that lies apart from the live ones.
          if (needsTarget(entry.kind) && entry.target !== undefined && this.#model.timelineOf(change.room).isApart(entry.target)) {
            void this.page(change.room, { before: entry.target + 1, limit: 1 }, 'below').catch(() => {});
          }
          const notification = isLive && toNotify(this.#model, change.room, entry);
          if (notification && !this.#parts.isViewed(change.room)) this.#parts.notify(notification);
        }
        return;
      case 'stopped':
        if (change.reason === 'signed_out') void this.#signedOut();
        if (change.reason === 'other_user') void this.#end('closed', true, false);
        return;
      default:
        return;
    }
  }

  /** A device that was revoked forgets everything; one that only lost its cookie keeps what it could not send. */
  async #signedOut(): Promise<void> {
    const isRevoked = this.#lastRefreshError === undefined || this.#lastRefreshError === 'session_revoked';
    await this.#end(isRevoked ? 'revoked' : 'closed', isRevoked, false);
  }

  listed(rooms: readonly RoomOut[]): void {
    this.#tell({ type: 'listed', rooms, all: false });
  }

  refreshed({ user, session_id }: SignedIn): void {
    this.#lastRefreshError = undefined;
    this.#keeper.noteSession({ session: session_id, me: user });
    this.#tell({ type: 'me', me: user });
  }

  refreshFailed(error: ClientError): void {
    this.#lastRefreshError = error.code;
  }

  greeted(serverTime: number): void {
    if (Number.isFinite(serverTime)) this.#clockOffset = serverTime - this.#parts.environment.now();
  }

  settled(): void {
    const status = this.#status();
    const old = this.#model.status.get();
    const isSame = status.connection === old.connection && status.retryAt === old.retryAt && status.clockOffsetMs === old.clockOffsetMs;
    if (!isSame) this.#tell({ type: 'status', status });
  }

  async save(): Promise<void> {
    const engine = this.#driver?.engine;
    if (engine) await this.#keeper.write(engine, this.#model);
  }

  #status(): Status {
    const phase = this.#driver?.engine.link.phase;
    const base = { unsent: 0, failed: 0, leader: true, clockOffsetMs: this.#clockOffset };
    if (!this.#parts.environment.isOnline() && phase?.type !== 'live') return { ...base, connection: 'offline' };
    switch (phase?.type) {
      case undefined:
      case 'stopped':
        return { ...base, connection: 'stopped' };
      case 'live':
        return { ...base, connection: this.#driver?.engine.isCaughtUp ? 'online' : 'catching-up' };
      case 'waiting':
        return { ...base, connection: 'waiting', retryAt: phase.until };
      default:
        return { ...base, connection: 'connecting' };
    }
  }

  /** To all tabs, this one first. */
  #tell(...news: readonly News[]): void {
    let full = false;
    for (const one of news) {
      this.#model.apply(one);
      if (this.#keeper.note(one, this.#parts.environment.now())) full = true;
    }
    this.#parts.spread(news);
    if (full) void this.#flush();
  }

  async #flush(): Promise<void> {
    if (!this.#keeper.hasWork) return;
    if (this.#writing) {
      this.#writeAgain = true;
      return;
    }
    this.#writing = true;
    try {
      await this.save();
    } finally {
      this.#writing = false;
      // What was asked for meanwhile is not in what was written.
      if (this.#writeAgain) void this.#flush();
      this.#writeAgain = false;
    }
  }

  /* ---- what tabs ask ---------------------------------------------------------------------------------------- */

  async entered(room: string): Promise<void> {
    await this.#rooms.entered(room);
  }

  open(room: string): Promise<OpenedRoom | undefined> {
    return this.#rooms.open(room);
  }

  older(room: string): Promise<void> {
    return this.#rooms.older(room);
  }

  olderDone(room: string, error: ClientError | undefined): void {
    this.#rooms.olderDone(room, error);
  }

  page(room: string, page: Page, from: 'below' | 'above'): Promise<History> {
    return this.#rooms.page(room, page, from);
  }

  refreshRoom(room: string): Promise<void> {
    return this.#rooms.refreshRoom(room);
  }

  async send(room: string, messageId: string, message: Message): Promise<void> {
    await this.#messages.send(room, messageId, message);
  }

  async change(...of: Parameters<LeaderMessages['change']>): Promise<void> {
    await this.#messages.change(...of);
  }

  async retry(messageId: string): Promise<void> {
    this.#messages.retry(messageId);
  }

  async cancel(messageId: string): Promise<void> {
    this.#messages.cancel(messageId);
  }

  async read(room: string, seq: number): Promise<void> {
    const facts = this.#model.facts.get(room);
    if (!facts || (seq <= facts.read.seq && !facts.markedUnread)) return;
    const wasMarked = facts.markedUnread;
    this.#driver?.tell({ type: 'read', room, seq });
    this.#tell({ type: 'read', room, seq });
    this.#rooms.clearUp();
    if (wasMarked) {
      this.#tell({ type: 'marked_unread', room, marked: false });
      await this.call({ method: 'PATCH', path: path`/rooms/${room}/preferences`, body: { marked_unread: false } });
    }
  }

  async threadRead(room: string, root: number, seq: number): Promise<void> {
    const facts = this.#model.facts.get(room);
    if (!facts || (facts.threadsRead?.[root] ?? 0) >= seq) return;
    this.#tell({ type: 'thread_read', room, root, seq });
    void this.#flush();
  }

  async markUnread(room: string): Promise<void> {
    await this.call({ method: 'PATCH', path: path`/rooms/${room}/preferences`, body: { marked_unread: true } });
    this.#tell({ type: 'marked_unread', room, marked: true });
  }

  async watch(tab: string, watch: Watch): Promise<void> {
    this.#watchers.set(tab, watch);
  }

  async typing(room: string): Promise<void> {
    this.#driver?.tell({ type: 'signal', signal: { type: 'signal', room, kind: 'typing' } });
  }

  async call(call: Call): Promise<unknown> {
    const isOpen = call.method === 'POST' && call.path === '/users';
    if (isOpen) return this.#authority.open(call);
    if (!this.#driver) throw new ClientError('unauthenticated', 'nobody is signed in');
    return this.#authority.call(call);
  }

  async refreshMe(): Promise<void> {
    const me = await this.#authority.call<Me>({ method: 'GET', path: '/users/me' });
    const account = this.#model.account.get();
    if (account.state === 'signed-in') this.#keeper.noteSession({ session: account.session, me });
    this.#tell({ type: 'me', me });
    void this.#flush();
  }

  async learn(profiles: readonly Profile[]): Promise<void> {
    this.#tell({ type: 'profiles', profiles });
    void this.#flush();
  }

  async membersRead(room: string, members: readonly MemberOut[]): Promise<void> {
    this.#tell({ type: 'members', room, members });
    void this.#flush();
  }

  async draft(key: string, draft: Draft): Promise<void> {
    this.#tell({ type: 'draft', room: key, draft });
    const isEmpty = draft.text === '' && draft.replyTo === undefined;
    this.#keeper.noteDraft(key, isEmpty ? undefined : draft);
    if (this.#draftTimer !== undefined && !isEmpty) return;
    this.#parts.environment.clearTimer(this.#draftTimer);
    const write = (): void => {
      this.#draftTimer = undefined;
      void this.#flush();
    };
    // An emptied one is not thinned: what was sent must not come back as a draft. A send that follows takes it along.
    this.#draftTimer = this.#parts.environment.setTimer(write, isEmpty ? 0 : DRAFT_MS);
  }

  async settings(settings: Settings): Promise<void> {
    this.#tell({ type: 'settings', settings });
    await this.#parts.database.write({ settings });
  }

  warn(code: Warning['code']): void {
    const warnings = this.#model.warnings.get();
    if (warnings.some((warning) => warning.code === code)) return;
    this.#tell({ type: 'warnings', warnings: [...warnings, { id: code, code }] });
  }

  async dismiss(id: string): Promise<void> {
    this.#tell({ type: 'warnings', warnings: this.#model.warnings.get().filter((warning) => warning.id !== id) });
  }

  async reconnect(): Promise<void> {
    this.#driver?.tell({ type: 'start' }, { type: 'foreground' });
  }
}
