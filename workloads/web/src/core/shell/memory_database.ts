import type { Draft, Settings } from '../interface';
import type { Entry, Position } from '../wire/entry';
import { denseNextTo, type Database, type Kept, type KeptMessage, type KeptRoom, type KeptSession, type Range, type Writes } from './database';

/** Stands in where the browser keeps nothing: everything is gone with the tab, and older rows come from the server. */
export class MemoryDatabase implements Database {
  readonly isKept = false;
  readonly transactions = 0;
  #session: KeptSession | undefined;
  #inbox: Position | undefined;
  #listLoaded = false;
  #ending = false;
  #settings: Settings | undefined;
  readonly #rooms = new Map<string, KeptRoom>();
  readonly #outbox = new Map<string, KeptMessage>();
  readonly #drafts = new Map<string, Draft>();

  async load(): Promise<Kept> {
    return {
      session: this.#session,
      inbox: this.#inbox,
      listLoaded: this.#listLoaded,
      rooms: [...this.#rooms.values()],
      outbox: [...this.#outbox.values()].sort((one, other) => one.order - other.order),
      drafts: [...this.#drafts],
      // The page itself holds them.
      profiles: [],
      settings: this.#settings,
      ending: this.#ending,
    };
  }

  async entries(_room: string, generation: number, range: Range): Promise<Entry[]> {
    return denseNextTo([], generation, range);
  }

  async write(writes: Writes): Promise<void> {
    this.#session = writes.session ?? this.#session;
    this.#inbox = writes.inbox ?? this.#inbox;
    this.#listLoaded = writes.listLoaded ?? this.#listLoaded;
    this.#settings = writes.settings ?? this.#settings;
    this.#ending = writes.ending ?? this.#ending;
    for (const room of writes.dropped ?? []) this.#rooms.delete(room);
    for (const room of writes.rooms ?? []) this.#rooms.set(room.room, room);
    for (const message of writes.outbox?.put ?? []) this.#outbox.set(message.message_id, message);
    for (const id of writes.outbox?.gone ?? []) this.#outbox.delete(id);
    for (const [room, draft] of writes.drafts ?? []) {
      if (draft) this.#drafts.set(room, draft);
      else this.#drafts.delete(room);
    }
  }

  async wipe(): Promise<void> {
    this.#session = undefined;
    this.#inbox = undefined;
    this.#listLoaded = false;
    this.#rooms.clear();
    this.#outbox.clear();
    this.#drafts.clear();
  }

  async shrink(): Promise<void> {}

  close(): void {}
}
