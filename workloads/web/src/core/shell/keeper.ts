import type { Engine } from '../engine/engine';
import type { SavedMessage } from '../engine/events';
import type { Draft, Settings } from '../interface';
import type { News } from '../model/news';
import type { Model } from '../model/model';
import type { Entry } from '../wire/entry';
import type { Profile } from '../wire/http';
import { KEPT_PROFILES, type Database, type Kept, type KeptMessage, type KeptRoom, type KeptSession, type Writes } from './database';

/** Entries that wait to be written; beyond, a write is due at once. The budget: at most one transaction per 200 events. */
const ENTRIES_A_WRITE = 200;

/**
 * Gathers what is to outlive the tab and writes it in one transaction: entries, the positions that count them, the outbox.
 * A position is never on disk before its entries.
 */
export class Keeper {
  readonly #database: Database;
  #entries = new Map<string, readonly [string, Entry]>();
  #rooms = new Set<string>();
  #dropped = new Set<string>();
  #drafts = new Map<string, Draft | undefined>();
  /** Profiles to be written, by user. */
  #profiles = new Map<string, Profile>();
  /** As they are on disk, as text: the same ones come with each list of members. */
  readonly #profilesKept = new Map<string, string>();
  #session: KeptSession | undefined;
  #settings: Settings | undefined;
  #ending: boolean | undefined;
  /** The outbox as it is on disk. */
  readonly #outbox = new Map<string, SavedMessage>();
  readonly #saidAt = new Map<string, number>();
  #order = 0;
  readonly #orders = new Map<string, number>();
  #written: Promise<void> = Promise.resolve();

  constructor(database: Database) {
    this.#database = database;
  }

  /** What was read from disk need not be written. */
  loaded({ outbox, profiles }: Kept): void {
    for (const profile of profiles) this.#profilesKept.set(profile.id, JSON.stringify(profile));
    for (const { order, said_at, ...message } of outbox) {
      this.#outbox.set(message.message_id, message);
      this.#orders.set(message.message_id, order);
      this.#saidAt.set(message.message_id, said_at);
      this.#order = Math.max(this.#order, order);
    }
  }

  saidAt(messageId: string): number | undefined {
    return this.#saidAt.get(messageId);
  }

  /** Notes what there is to write. Answers whether so much has gathered that it should be written now. */
  note(news: News, now: number): boolean {
    switch (news.type) {
      case 'appended':
      case 'older':
        for (const entry of news.entries) this.#note(news.room, entry);
        break;
      case 'page':
        for (const entry of news.piece.entries) this.#note(news.room, entry);
        break;
      case 'updated':
        this.#note(news.room, news.entry);
        break;
      case 'left':
      case 'restarted':
        this.#drop(news.room);
        if (news.type === 'restarted') this.#rooms.add(news.room);
        break;
      case 'listed':
        for (const { id } of news.rooms) this.#rooms.add(id);
        break;
      case 'read':
      case 'thread_read':
      case 'marked_unread':
      case 'joined':
        this.#rooms.add(news.room);
        break;
      case 'watermark':
        this.#rooms.add(news.frame.room);
        break;
      case 'profiles':
        news.profiles.forEach((profile) => this.#noteProfile(profile));
        break;
      case 'members':
        this.#rooms.add(news.room);
        news.members.forEach(({ user }) => this.#noteProfile(user));
        break;
      case 'said':
        this.#saidAt.set(news.pending.message.message_id, now);
        break;
      default:
        break;
    }
    return this.#entries.size >= ENTRIES_A_WRITE;
  }

  noteDraft(room: string, draft: Draft | undefined): void {
    this.#drafts.set(room, draft);
  }

  noteSession(session: KeptSession): void {
    this.#session = session;
  }

  noteEnding(ending: boolean): void {
    this.#ending = ending;
  }

  noteSettings(settings: Settings): void {
    this.#settings = settings;
  }

  get hasWork(): boolean {
    return this.#entries.size + this.#rooms.size + this.#dropped.size + this.#drafts.size + this.#profiles.size > 0 || !!this.#session || !!this.#settings || this.#ending !== undefined;
  }

  /**
   * One transaction with everything gathered. It is begun at once, as the page may be gone when an earlier one ends; the
   * database does them in the order they were begun.
   */
  write(engine: Engine, model: Model): Promise<void> {
    const write = this.#database.write(this.#take(engine, model));
    this.#written = Promise.all([this.#written, write]).then(() => {});
    return this.#written;
  }

  /** Everything asked for so far is written. */
  idle(): Promise<void> {
    return this.#written;
  }

  /** What has gathered is not to be written. */
  forget(): void {
    this.#entries.clear();
    this.#rooms.clear();
    this.#dropped.clear();
    this.#drafts.clear();
    this.#profiles.clear();
    this.#profilesKept.clear();
    this.#outbox.clear();
    this.#orders.clear();
    this.#saidAt.clear();
    this.#session = undefined;
  }

  #note(room: string, entry: Entry): void {
    this.#entries.set(`${room} ${entry.position.seq}`, [room, entry]);
    this.#rooms.add(room);
  }

  #noteProfile(profile: Profile): void {
    const text = JSON.stringify(profile);
    if (this.#profilesKept.get(profile.id) === text) return;
    if (this.#profilesKept.size >= KEPT_PROFILES && !this.#profilesKept.has(profile.id)) return;
    this.#profilesKept.set(profile.id, text);
    this.#profiles.set(profile.id, profile);
  }

  #drop(room: string): void {
    this.#dropped.add(room);
    this.#rooms.delete(room);
    for (const [key, [of]] of this.#entries) if (of === room) this.#entries.delete(key);
  }

  #take(engine: Engine, model: Model): Writes {
    const snapshot = engine.snapshot();
    const rooms: KeptRoom[] = [];
    const known = new Map(snapshot.rooms.map(({ room, position }) => [room, position]));
    for (const room of this.#rooms) {
      const position = known.get(room);
      if (position) rooms.push({ room, position, facts: model.facts.get(room), receipts: model.receiptsToKeep(room) });
    }
    const writes: Writes = {
      dropped: [...this.#dropped],
      entries: [...this.#entries.values()],
      rooms,
      outbox: this.#outboxChanges(snapshot.outbox),
      drafts: [...this.#drafts],
      profiles: [...this.#profiles.values()],
      // Until the first read of list and inbox is done the next life starts from nothing.
      ...(engine.firstFold === undefined && { inbox: snapshot.inbox, listLoaded: model.book.isLoaded }),
      ...(this.#session && { session: this.#session }),
      ...(this.#settings && { settings: this.#settings }),
      ...(this.#ending !== undefined && { ending: this.#ending }),
    };
    this.#entries = new Map();
    // While the first list is read no room has a position yet.
    if (!engine.firstFold) this.#rooms = new Set();
    this.#dropped = new Set();
    this.#drafts = new Map();
    this.#profiles = new Map();
    this.#session = undefined;
    this.#settings = undefined;
    this.#ending = undefined;
    return writes;
  }

  #outboxChanges(outbox: readonly SavedMessage[]): { put: KeptMessage[]; gone: string[] } {
    const put: KeptMessage[] = [];
    const present = new Set<string>();
    for (const message of outbox) {
      const id = message.message_id;
      present.add(id);
      const held = this.#outbox.get(id);
      const retried = held?.refused !== undefined && message.refused === undefined;
      if (held && isSame(held, message)) continue;
      let order = this.#orders.get(id);
      // One sent again goes to the end of its room's queue.
      if (order === undefined || retried) this.#orders.set(id, (order = this.#order += 1));
      put.push({ ...message, order, said_at: this.#saidAt.get(id) ?? 0 });
      this.#outbox.set(id, message);
    }
    const gone = [...this.#outbox.keys()].filter((id) => !present.has(id));
    for (const id of gone) {
      this.#outbox.delete(id);
      this.#orders.delete(id);
      this.#saidAt.delete(id);
    }
    return { put, gone };
  }
}

function isSame(one: SavedMessage, other: SavedMessage): boolean {
  return (
    one.draft === other.draft &&
    one.session === other.session &&
    one.awaits === other.awaits &&
    one.fresh === other.fresh &&
    one.refused?.code === other.refused?.code
  );
}
