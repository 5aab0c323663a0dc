/** Rooms as the leading tab keeps them: their list, their facts, their older rows. */
import { ClientError } from '../error';
import type { OpenedRoom } from '../model/news';
import { compact } from '../wire/compact';
import type { History, RoomOut } from '../wire/http';
import type { Page } from './backend';
import { path, query, type Call } from './http';
import type { LeaderContext } from './leader_context';

/** Rows a room shows at once when it is opened. */
const OPEN_ROWS = 50;
/** Rows asked for when the user scrolls back. */
const OLDER_ROWS = 100;
/** Pages of nothing to read that are skipped in one go. */
const EMPTY_PAGES = 5;
/** Rooms of one page of the list (wire contract: 200). */
const LIST_PAGE = 200;

export class LeaderRooms {
  readonly #context: LeaderContext;
  readonly #older = new Map<string, (error: ClientError | undefined) => void>();
  #listing: Promise<void> | undefined;
  /** Rooms were asked for before it was known which ones there are. */
  #asked: (() => void)[] = [];

  constructor(context: LeaderContext) {
    this.#context = context;
  }

  /** Rows before those held were loaded, or not. */
  olderDone(room: string, error: ClientError | undefined): void {
    const done = this.#older.get(room);
    this.#older.delete(room);
    done?.(error);
  }

  refreshList(): Promise<void> {
    this.#listing ??= this.#readList()
      .catch(() => {})
      .finally(() => (this.#listing = undefined));
    return this.#listing;
  }

  async #readList(): Promise<void> {
    const rooms: RoomOut[] = [];
    let after: string | undefined;
    do {
      const call: Call = { method: 'GET', path: `/rooms${query({ limit: LIST_PAGE, after })}` };
      const page = await this.#context.authority.call<{ rooms: RoomOut[]; next?: string }>(call);
      rooms.push(...page.rooms);
      after = page.next;
    } while (after !== undefined);
    this.#context.tell({ type: 'listed', rooms, all: true });
    // Rooms entered while the list was read are not in it.
    for (const room of this.#context.driver()?.engine.roomIds() ?? []) {
      if (!this.#context.model.facts.has(room)) await this.refreshRoom(room).catch(() => {});
    }
    void this.#context.flush();
  }

  async refreshRoom(room: string): Promise<void> {
    const answer = await this.#context.authority.call<{ room: RoomOut }>({ method: 'GET', path: path`/rooms/${room}` });
    if (this.#context.driver()?.engine.timeline(room)) this.#context.tell({ type: 'listed', rooms: [answer.room], all: false });
  }

  /** Rooms whose unread count only the server knows. */
  clearUp(): void {
    for (const room of this.#context.model.book.unclear) {
      this.#context.model.book.unclear.delete(room);
      void this.refreshRoom(room).catch(() => {});
    }
  }

  async entered(room: string): Promise<void> {
    this.#context.driver()?.tell({ type: 'entered', room });
    if (!this.#context.model.facts.has(room)) await this.refreshRoom(room);
  }

  /** List and inbox were read to their ends: it is known which rooms we are in. */
  caughtUp(): void {
    const asked = this.#asked;
    this.#asked = [];
    for (const goOn of asked) goOn();
  }

  async open(room: string): Promise<OpenedRoom | undefined> {
    const engine = this.#context.driver()?.engine;
    if (engine?.firstFold && !engine.timeline(room)) await new Promise<void>((resolve) => this.#asked.push(resolve));
    const timeline = engine?.timeline(room);
    if (!timeline) return undefined;
    const view = this.#context.model.timelineOf(room);
    if (!view.isOpened) {
      const opened = { generation: timeline.generation, pieces: [{ floor: timeline.floor, head: timeline.head, entries: [...timeline.rows] }] };
      this.#context.model.apply({ type: 'opened', room, opened });
      if (view.timeline.get().length < OPEN_ROWS && timeline.floor > 0) void this.older(room).catch(() => {});
    }
    return { generation: view.generation, pieces: view.pieces() };
  }

  async older(room: string): Promise<void> {
    const view = this.#context.model.timelineOf(room);
    if (!this.#context.driver()?.engine.timeline(room) || this.#older.has(room)) return;
    this.#context.tell({ type: 'loading_older', room, loading: true });
    let failure: ClientError | undefined;
    const rows = view.timeline.get().length;
    for (let pages = 0; pages < EMPTY_PAGES && !failure; pages += 1) {
      const floor: number = this.#context.driver()?.engine.timeline(room)?.floor ?? 0;
      if (floor === 0 || view.timeline.get().length > rows) break;
      failure = await this.#olderPage(room);
      // No progress: the server had nothing to add.
      if (this.#context.driver()?.engine.timeline(room)?.floor === floor) break;
    }
    const failed = failure && { failure: { code: failure.code, detail: failure.detail } };
    this.#context.tell({ type: 'loading_older', room, loading: false, ...failed });
    if (failure) throw failure;
  }

  #olderPage(room: string): Promise<ClientError | undefined> {
    return new Promise((resolve) => {
      this.#older.set(room, resolve);
      const driver = this.#context.driver();
      if (driver) driver.tell({ type: 'older', room, limit: OLDER_ROWS });
      else this.olderDone(room, ClientError.offline());
    });
  }

  async page(room: string, page: Page, from: 'below' | 'above'): Promise<History> {
    const generation = this.#context.driver()?.engine.timeline(room)?.generation ?? 0;
    let history: History;
    try {
      const call = path`/rooms/${room}/messages` + query({ before: page.before, after: page.after, limit: page.limit, thread: page.thread });
      const answer = await this.#context.authority.call<History>({ method: 'GET', path: call });
      history = { ...answer, entries: answer.entries.map(compact) };
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'offline' || page.thread !== undefined) throw error;
      const entries = await this.#context.database.entries(room, generation, page);
      if (entries.length === 0) throw error;
      history = { entries, more: true };
    }
    const [first] = history.entries;
    const last = history.entries.at(-1);
    if (page.thread === undefined && first && last && last.position.generation === generation) {
      const piece = { floor: first.position.seq - 1, head: last.position.seq, entries: history.entries };
      this.#context.tell({ type: 'page', room, generation, piece, from });
    }
    return history;
  }
}
