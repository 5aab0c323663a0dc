import { wrap, type DBSchema, type IDBPDatabase } from 'idb';
import type { Draft } from '../interface';
import type { Entry, Position } from '../wire/entry';
import type { Profile } from '../wire/http';
import type { Settings } from '../interface';
import { denseNextTo, KEPT_PROFILES, type Database, type Kept, type KeptMessage, type KeptRoom, type KeptSession, type Range, type Writes } from './database';

export const DATABASE_NAME = 'klatch';
export const DATABASE_VERSION = 2;
/** Another tab with an older version gets this long, ms, to close its database. */
const BLOCKED_MS = 3_000;

interface Schema extends DBSchema {
  entries: { key: [string, number]; value: Entry };
  rooms: { key: string; value: KeptRoom };
  outbox: { key: string; value: KeptMessage };
  drafts: { key: string; value: Draft };
  /** Since version 2. */
  profiles: { key: string; value: Profile };
  /** Single values by name. */
  state: { key: string; value: unknown };
}

const STORES = ['entries', 'rooms', 'outbox', 'drafts', 'profiles', 'state'] as const;

export type Trouble = 'storage_blocked' | 'storage_lost';

/** Opens it, or rejects: private mode, storage turned off, an older tab that does not let go. */
export function openIndexedDatabase(factory: IDBFactory, onTrouble: (trouble: Trouble) => void): Promise<IndexedDatabase> {
  return new Promise((resolve, reject) => {
    const request = factory.open(DATABASE_NAME, DATABASE_VERSION);
    let isGivenUp = false;
    request.onupgradeneeded = () => {
      for (const store of STORES) if (!request.result.objectStoreNames.contains(store)) request.result.createObjectStore(store);
    };
    request.onblocked = () => {
      setTimeout(() => {
        isGivenUp = true;
        reject(new BlockedError());
      }, BLOCKED_MS);
    };
    request.onerror = () => reject(request.error ?? new Error('the database did not open'));
    request.onsuccess = () => {
      const database = request.result;
      // It opened after all, and nobody waits for it any more.
      if (isGivenUp) return database.close();
      database.onversionchange = () => {
        // A newer version of the page waits: it must not wait for us.
        database.close();
        onTrouble('storage_blocked');
      };
      database.onclose = () => onTrouble('storage_lost');
      resolve(new IndexedDatabase(wrap(database) as IDBPDatabase<Schema>));
    };
  });
}

export class BlockedError extends Error {
  constructor() {
    super('another tab holds an older version of the database');
  }
}

export class IndexedDatabase implements Database {
  readonly isKept = true;
  transactions = 0;
  readonly #database: IDBPDatabase<Schema>;

  constructor(database: IDBPDatabase<Schema>) {
    this.#database = database;
  }

  async load(): Promise<Kept> {
    const transaction = this.#database.transaction(['rooms', 'outbox', 'drafts', 'profiles', 'state']);
    const state = transaction.objectStore('state');
    const drafts = transaction.objectStore('drafts');
    const [session, inbox, listLoaded, settings, ending, rooms, outbox, draftRooms, draftTexts, profiles] = await Promise.all([
      state.get('session'),
      state.get('inbox'),
      state.get('list_loaded'),
      state.get('settings'),
      state.get('ending'),
      transaction.objectStore('rooms').getAll(),
      transaction.objectStore('outbox').getAll(),
      drafts.getAllKeys(),
      drafts.getAll(),
      transaction.objectStore('profiles').getAll(undefined, KEPT_PROFILES + 1),
    ]);
    const tooMany = profiles.length > KEPT_PROFILES;
    if (tooMany) await this.#database.clear('profiles');
    return {
      session: session as KeptSession | undefined,
      inbox: inbox as Position | undefined,
      listLoaded: listLoaded === true,
      settings: settings as Settings | undefined,
      ending: ending === true,
      rooms,
      outbox: outbox.sort((one, other) => one.order - other.order),
      drafts: draftRooms.map((room, place) => [room, draftTexts[place] ?? { text: '' }] as const),
      profiles: tooMany ? [] : profiles,
    };
  }

  async entries(room: string, generation: number, range: Range): Promise<Entry[]> {
    const { before = Number.MAX_SAFE_INTEGER, after, limit } = range;
    const [low, high] = after === undefined ? [before - limit, before - 1] : [after + 1, after + limit];
    if (range.before === undefined && after === undefined) return [];
    const keys = IDBKeyRange.bound([room, Math.max(0, low)], [room, high]);
    return denseNextTo(await this.#database.getAll('entries', keys, limit), generation, range);
  }

  async write(writes: Writes): Promise<void> {
    this.transactions += 1;
    const transaction = this.#database.transaction(STORES, 'readwrite', { durability: 'relaxed' });
    const [entries, rooms, outbox, drafts, profiles, state] = STORES.map((store) => transaction.objectStore(store)) as never as Stores;
    const { session, inbox, listLoaded, settings, ending } = writes;
    // Each request has a promise of its own, and each wants somebody to hear that the transaction failed.
    const work: Promise<unknown>[] = [transaction.done];
    for (const room of writes.dropped ?? []) {
      work.push(entries.delete(IDBKeyRange.bound([room, 0], [room, Infinity])));
      work.push(rooms.delete(room));
    }
    for (const [room, entry] of writes.entries ?? []) work.push(entries.put(entry, [room, entry.position.seq]));
    for (const room of writes.rooms ?? []) work.push(rooms.put(room, room.room));
    for (const message of writes.outbox?.put ?? []) work.push(outbox.put(message, message.message_id));
    for (const id of writes.outbox?.gone ?? []) work.push(outbox.delete(id));
    for (const [room, draft] of writes.drafts ?? []) work.push(draft ? drafts.put(draft, room) : drafts.delete(room));
    for (const profile of writes.profiles ?? []) work.push(profiles.put(profile, profile.id));
    if (session) work.push(state.put(session, 'session'));
    if (inbox) work.push(state.put(inbox, 'inbox'));
    if (listLoaded !== undefined) work.push(state.put(listLoaded, 'list_loaded'));
    if (settings) work.push(state.put(settings, 'settings'));
    if (ending !== undefined) work.push(state.put(ending, 'ending'));
    // Said outright, it happens also when this page is gone by then.
    transaction.commit();
    await Promise.all(work);
  }

  async wipe(): Promise<void> {
    const transaction = this.#database.transaction(STORES, 'readwrite');
    for (const store of STORES) if (store !== 'state') void transaction.objectStore(store).clear();
    for (const name of ['session', 'inbox', 'list_loaded']) void transaction.objectStore('state').delete(name);
    await transaction.done;
  }

  async shrink(): Promise<void> {
    const transaction = this.#database.transaction(['entries', 'rooms'], 'readwrite');
    const entries = transaction.objectStore('entries');
    for (const room of await transaction.objectStore('rooms').getAllKeys()) {
      const keys = await entries.getAllKeys(IDBKeyRange.bound([room, 0], [room, Infinity]));
      const middle = keys[Math.floor(keys.length / 2)];
      if (middle) void entries.delete(IDBKeyRange.bound([room, 0], middle));
    }
    await transaction.done;
  }

  close(): void {
    this.#database.close();
  }
}

type Store<Name extends (typeof STORES)[number]> = import('idb').IDBPObjectStore<Schema, typeof STORES, Name, 'readwrite'>;
type Stores = [Store<'entries'>, Store<'rooms'>, Store<'outbox'>, Store<'drafts'>, Store<'profiles'>, Store<'state'>];
