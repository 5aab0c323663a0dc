/** The state of the client in one tab: fed with news, read through cells. No I/O, no timers. */
import { SMALL_ROOM_MEMBERS } from '../engine/settings';
import { ClientError } from '../error';
import type { Account, Draft, Me, Receipts, Settings, Status, Warning } from '../interface';
import { needsTarget, type Entry } from '../wire/entry';
import type { Me as WireMe, MemberOut } from '../wire/http';
import { Batch, Cell, Cells } from './cell';
import type { News, State } from './news';
import { OutboxView } from './outbox_view';
import { meOf, People } from './people';
import { NO_RECEIPTS, RoomReceipts, type Receipt } from './receipts';
import { RoomBook } from './room_book';
import { withRead, withThreadRead, type RoomFacts } from './room_facts';
import { RoomTimeline } from './room_timeline';
import type { Reader } from './row';

export const DEFAULT_SETTINGS: Settings = {
  theme: 'system',
  density: 'comfortable',
  language: 'system',
  notifications: false,
  sound: false,
  singleKeyShortcuts: true,
  sendOnEnter: true,
};

/** Under which a draft is kept: a room's id, or that and the thread's root. */
export function draftKey(room: string, thread?: number): string {
  return thread === undefined ? room : `${room}/${thread}`;
}

const NO_DRAFT: Draft = { text: '' };
const STARTING: Status = { connection: 'connecting', unsent: 0, failed: 0, leader: false, clockOffsetMs: 0 };

export class Model {
  readonly batch = new Batch();
  readonly people = new People(this.batch);
  readonly outbox = new OutboxView();
  readonly drafts = new Map<string, Draft>();
  readonly book = new RoomBook(this.batch, (room) => ({ me: this.myId, hasDraft: this.drafts.has(room), failed: this.outbox.failedIn(room) }));
  readonly #timelines = new Map<string, RoomTimeline>();
  readonly #receipts = new Map<string, RoomReceipts>();
  readonly #clock: () => number;
  /** What lists of this tab may have to read again. */
  onFriends: () => void = () => {};
  onMembers: (room: string) => void = () => {};
  /** A room whose rows may be looked at before it was ours to open. */
  onJoined: (room: string) => void = () => {};
  /** Something was done to a row that only a thread's panel holds. */
  onPanelRow: (room: string, seq: number) => void = () => {};
  #account: Account = { state: 'loading' };
  #status = STARTING;
  #me: WireMe | undefined;
  #settings = DEFAULT_SETTINGS;
  #warnings: readonly Warning[] = [];

  readonly account = new Cell<Account>(this.batch, () => this.#account);
  readonly status = new Cell<Status>(this.batch, () => ({ ...this.#status, ...this.outbox.counts() }));
  readonly me = new Cell<Me | undefined>(this.batch, () => this.#me && meOf(this.#me));
  readonly settings = new Cell<Settings>(this.batch, () => this.#settings);
  readonly warnings = new Cell<readonly Warning[]>(this.batch, () => this.#warnings);
  readonly draft = new Cells<Draft>((room) => new Cell(this.batch, () => this.drafts.get(room) ?? NO_DRAFT));
  readonly receipts = new Cells<Receipts>((room) => new Cell(this.batch, () => this.#receiptsOf(room)));

  /** `clock`: this device's, ms. */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  get facts(): ReadonlyMap<string, RoomFacts> {
    return this.book.facts;
  }

  get myId(): string | undefined {
    return this.#account.state === 'signed-in' ? this.#account.user : undefined;
  }

  /** Server time, ms, as far as known. */
  get serverNow(): number {
    return this.#clock() + this.#status.clockOffsetMs;
  }

  timelineOf(room: string): RoomTimeline {
    let timeline = this.#timelines.get(room);
    if (!timeline) {
      timeline = new RoomTimeline(room, this.batch, () => this.#readerOf(room), (entry) => this.#isNoNews(room, entry));
      timeline.setWaiting(this.outbox.of(room));
      this.#timelines.set(room, timeline);
    }
    return timeline;
  }

  /** That the two of a direct room are in it goes without saying. */
  #isNoNews(room: string, { kind }: Entry): boolean {
    return kind.startsWith('member_') && this.facts.get(room)?.kind === 'direct';
  }

  #readerOf(room: string): Reader {
    const facts = this.facts.get(room);
    return { me: this.myId, now: this.serverNow, threadRead: (root) => facts?.threadsRead?.[root], threadsFrom: facts?.threadsFrom ?? Infinity };
  }

  /** Somebody looks at this room, and its rows are not here. */
  isLookedAt(room: string): boolean {
    const timeline = this.#timelines.get(room);
    return timeline !== undefined && timeline.timeline.isWatched && !timeline.isOpened;
  }

  openedRooms(): string[] {
    return [...this.#timelines.values()].filter((one) => one.isOpened).map((one) => one.room);
  }

  /** Rows whose time is up. Answers whether there will be more. */
  expire(): boolean {
    let more = false;
    for (const timeline of this.#timelines.values()) if (timeline.expire(this.serverNow)) more = true;
    return more;
  }

  export(): State {
    return {
      account: this.#account,
      status: this.#status,
      me: this.#me,
      rooms: [...this.facts.values()],
      listLoaded: this.book.isLoaded,
      outbox: this.outbox.all(),
      profiles: this.people.all(),
      oldProfiles: this.people.old(),
      drafts: [...this.drafts],
      receipts: [...this.#receipts].map(([room, receipts]) => [room, receipts.all()] as const),
      settings: this.#settings,
      warnings: this.#warnings,
    };
  }

  /** Everything but timelines starts anew from here; those that are open are to be opened again. */
  reset(state: State): void {
    this.outbox.reset(state.outbox);
    this.people.learn(state.profiles);
    if (state.me) this.people.learn([state.me]);
    this.people.remember(state.oldProfiles ?? []);
    this.drafts.clear();
    for (const [room, draft] of state.drafts) this.drafts.set(room, draft);
    for (const [room, receipts] of state.receipts) for (const { user, read, delivered } of receipts) this.#takeReceipt(room, user, read, delivered);
    this.#me = state.me;
    this.#account = state.account;
    this.#status = state.status;
    this.#settings = state.settings;
    this.#warnings = state.warnings;
    for (const timeline of this.#timelines.values()) timeline.setWaiting(this.outbox.of(timeline.room));
    this.book.reset(state.rooms, state.listLoaded);
    for (const cell of [this.account, this.status, this.me, this.settings, this.warnings]) cell.touch();
    for (const cells of [this.draft, this.receipts]) cells.touchAll();
  }

  apply(news: News): void {
    switch (news.type) {
      case 'account':
        this.#account = news.account;
        if (news.account.state === 'signed-out') this.#forgetEverything();
        return this.account.touch();
      case 'status':
        this.#status = news.status;
        return this.status.touch();
      case 'me':
        this.#me = news.me;
        this.people.learn([news.me]);
        return this.me.touch();
      case 'settings':
        this.#settings = news.settings;
        return this.settings.touch();
      case 'warnings':
        this.#warnings = news.warnings;
        return this.warnings.touch();
      case 'profiles':
        return this.people.learn(news.profiles);
      case 'offline':
      case 'stopped':
        return this.people.forgetPresence();
      case 'presence':
        return this.people.takePresence(news.frame);
      case 'signal':
        if (news.frame.kind === 'typing' && news.frame.user !== this.myId) {
          this.people.takeTyping(news.frame.room, news.frame.user, true, this.#clock());
        }
        return;
      case 'draft':
        return this.#takeDraft(news.room, news.draft);
      case 'friend':
        return this.onFriends();
      case 'joined':
        return this.onJoined(news.room);
      case 'said':
        this.outbox.said(news.pending);
        return this.#outboxChanged(news.pending.message.room);
      case 'revised':
        this.outbox.revised(news.message_id, news.message);
        return this.#outboxChanged(news.message.room);
      case 'message':
        this.outbox.take(news, this.#isShown(news));
        return this.#outboxChanged(news.room);
      default:
        return this.#applyToRoom(news);
    }
  }

  #applyToRoom(news: News): void {
    switch (news.type) {
      case 'listed':
        return this.#takeListed(news);
      case 'left':
        this.#timelines.get(news.room)?.restart(0, 0);
        this.#receipts.delete(news.room);
        return this.book.drop(news.room);
      case 'opened':
        this.timelineOf(news.room).opened(news.opened);
        return this.#rowsCame(news.room);
      case 'appended':
        return this.#takeAppended(news.room, news.entries);
      case 'older':
        return this.#timelines.get(news.room)?.older(news.entries);
      case 'page':
        return this.#timelines.get(news.room)?.page(news.generation, news.piece, news.from);
      case 'updated':
        return this.#takeUpdated(news.room, news.entry);
      case 'restarted':
        this.#timelines.get(news.room)?.restart(news.position.generation, news.position.seq);
        if (this.outbox.drop(news.room, () => true)) this.#outboxChanged(news.room);
        return;
      case 'loading_older': {
        const error = news.failure && new ClientError(news.failure.code, news.failure.detail);
        return this.#timelines.get(news.room)?.setLoadingOlder(news.loading, error);
      }
      case 'read':
        return this.#takeRead(news.room, news.seq, undefined, true);
      case 'thread_read':
        this.book.change(news.room, (facts) => withThreadRead(facts, news.root, news.seq));
        return this.#timelines.get(news.room)?.threadRead(news.root);
      case 'marked_unread':
        return this.book.change(news.room, (facts) => ({ ...facts, markedUnread: news.marked }));
      case 'watermark': {
        const { room, user, read, delivered } = news.frame;
        if (user === this.myId) return read && this.#takeRead(room, read.seq, read.generation, false);
        return this.#takeReceipt(room, user, read, delivered);
      }
      case 'members':
        return this.#takeMembers(news.room, news.members);
      default:
        return;
    }
  }

  #takeDraft(key: string, draft: Draft): void {
    const had = this.drafts.has(key);
    if (draft.text === '' && draft.replyTo === undefined) this.drafts.delete(key);
    else this.drafts.set(key, draft);
    this.draft.touch(key);
    // The room's line tells that there is one, not what; a thread's draft shows at the thread.
    if (had !== this.drafts.has(key) && this.facts.has(key)) this.book.changed(key);
  }

  /** Whether the row of what was stored is there already, or will not be looked for. */
  #isShown(news: Extract<News, { type: 'message' }>): boolean {
    const timeline = this.#timelines.get(news.room);
    const waiting = this.outbox.get(news.message_id);
    if (news.state !== 'stored' || !timeline?.isOpened || !waiting || needsTarget(waiting.draft.kind)) return true;
    return timeline.covers(news.position.seq);
  }

  #rowsCame(room: string): void {
    const timeline = this.#timelines.get(room);
    if (timeline && this.outbox.drop(room, (seq) => timeline.covers(seq))) this.#outboxChanged(room);
  }

  #takeListed({ rooms, all }: Extract<News, { type: 'listed' }>): void {
    this.people.learn(rooms.flatMap((out) => out.peer ?? []));
    this.book.takeListed(rooms, all);
    for (const { id } of rooms) this.receipts.touch(id);
  }

  #takeAppended(room: string, entries: readonly Entry[]): void {
    this.#timelines.get(room)?.append(entries);
    this.#rowsCame(room);
    this.book.takeAppended(room, entries, this.myId);
    for (const entry of entries) {
      this.people.takeTyping(room, entry.sender.user, false, this.#clock());
      if (entry.kind !== 'member_left' || typeof entry.content['user'] !== 'string') continue;
      this.#receipts.get(room)?.forget(entry.content['user']);
    }
    if (entries.some((entry) => entry.kind.startsWith('member_') || entry.kind === 'role_changed')) this.onMembers(room);
    for (const { kind, target } of entries) {
      if (needsTarget(kind) && target !== undefined && this.#timelines.get(room)?.isInPanel(target)) this.onPanelRow(room, target);
    }
    // Who writes has read what stands before.
    for (const { sender, position } of entries) if (sender.user !== this.myId) this.#takeReceipt(room, sender.user, position, position);
  }

  #takeUpdated(room: string, entry: Entry): void {
    this.#timelines.get(room)?.update(entry);
    this.book.change(room, (facts) => (facts.last?.position.seq === entry.position.seq ? { ...facts, last: entry } : facts));
  }

  #takeRead(room: string, seq: number, generation: number | undefined, pending: boolean): void {
    const facts = this.facts.get(room);
    if (!facts) return;
    const read = { generation: generation ?? facts.head.generation, seq: Math.min(seq, facts.head.seq) };
    const now = withRead(facts, read, this.#timelines.get(room)?.ordinalAt(read.seq), pending);
    if (now) this.book.change(room, () => now);
    else this.book.unclear.add(room);
  }

  #takeReceipt(room: string, user: string, read: Parameters<RoomReceipts['take']>[1], delivered: Parameters<RoomReceipts['take']>[2]): void {
    let receipts = this.#receipts.get(room);
    if (!receipts) this.#receipts.set(room, (receipts = new RoomReceipts()));
    receipts.take(user, read, delivered);
    this.receipts.touch(room);
  }

  #takeMembers(room: string, members: readonly MemberOut[]): void {
    this.people.learn(members.map((member) => member.user));
    for (const { user, read, delivered } of members) if (user.id !== this.myId) this.#takeReceipt(room, user.id, read, delivered);
  }

  /** As they are to be kept: of a room whose members all have some. */
  receiptsToKeep(room: string): readonly Receipt[] {
    const isSmall = (this.facts.get(room)?.memberCount ?? Infinity) <= SMALL_ROOM_MEMBERS;
    return isSmall ? (this.#receipts.get(room)?.all() ?? []) : [];
  }

  #receiptsOf(room: string): Receipts {
    const others = Math.max(1, (this.facts.get(room)?.memberCount ?? 2) - 1);
    return this.#receipts.get(room)?.view(others) ?? NO_RECEIPTS;
  }

  #outboxChanged(room: string): void {
    this.#timelines.get(room)?.setWaiting(this.outbox.of(room));
    this.status.touch();
    this.book.changed(room);
  }

  #forgetEverything(): void {
    this.drafts.clear();
    this.#receipts.clear();
    this.outbox.reset([]);
    this.people.clear();
    this.#me = undefined;
    this.book.reset([], false);
    // Those who hold a room's cell keep it; it is empty now.
    for (const timeline of this.#timelines.values()) {
      timeline.setWaiting([]);
      timeline.restart(0, 0);
    }
    for (const cell of [this.me, this.status]) cell.touch();
    for (const cells of [this.draft, this.receipts]) cells.touchAll();
  }
}
