import { IDBFactory } from 'fake-indexeddb';
import { afterEach, expect, test } from 'vitest';
import type { Client } from '../../src/core';
import { DATABASE_VERSION, IndexedDatabase, openIndexedDatabase } from '../../src/core/shell/indexed_database';
import { ROOM, Server } from './server';
import { Profile, rowsOf, until } from './world';

const put = IDBObjectStore.prototype.put;
afterEach(() => {
  IDBObjectStore.prototype.put = put;
});

async function online(profile: Profile): Promise<Client> {
  const client = await profile.open();
  if (client.account.get().state !== 'signed-in') await client.signIn({ username: 'me', password: 'secret', deviceName: 'test' });
  await until('online', () => client.status.get().connection === 'online');
  return client;
}

async function works(client: Client, server: Server): Promise<void> {
  client.timeline(ROOM).subscribe(() => {});
  await client.send(ROOM, { text: 'still here' });
  await until('sent', () => client.status.get().unsent === 0);
  await until('shown', () => rowsOf(client, ROOM).includes('still here'));
  expect(server.texts()).toContain('still here');
}

test('without storage it works and says that nothing is kept', async () => {
  const server = new Server();
  const profile = new Profile(server.network);
  profile.indexedDB = undefined;
  const client = await online(profile);
  expect(client.warnings.get()).toEqual([{ id: 'storage_unavailable', code: 'storage_unavailable' }]);
  await works(client, server);
  client.dismissWarning('storage_unavailable');
  await until('dismissed', () => client.warnings.get().length === 0);
  await client.close();
});

test('storage that refuses to open is like none', async () => {
  const server = new Server();
  const profile = new Profile(server.network);
  profile.indexedDB = { open: () => { throw new DOMException('denied', 'SecurityError'); } } as unknown as IDBFactory;
  const client = await online(profile);
  expect(client.warnings.get().map((warning) => warning.code)).toEqual(['storage_unavailable']);
  await works(client, server);
  await client.close();
});

test('a full device is told once, and the rest goes on in memory', async () => {
  const server = new Server();
  const profile = new Profile(server.network);
  const client = await online(profile);
  let tries = 0;
  IDBObjectStore.prototype.put = () => {
    tries += 1;
    throw new DOMException('no space', 'QuotaExceededError');
  };
  await works(client, server);
  const triesThen = tries;
  await client.send(ROOM, { text: 'and here' });
  expect(tries).toBe(triesThen);
  expect(client.warnings.get().map((warning) => warning.code)).toEqual(['storage_full']);
  IDBObjectStore.prototype.put = put;
  await client.close();
  // What was kept before is whole: the next start goes on from there.
  const again = await online(profile);
  again.timeline(ROOM).subscribe(() => {});
  await until('rows', () => rowsOf(again, ROOM).includes('still here'));
  await again.close();
});

test('an older tab that does not let go of the database is told', async () => {
  const factory = new IDBFactory();
  const held = factory.open('klatch', DATABASE_VERSION);
  await new Promise((resolve) => (held.onsuccess = resolve));
  const older = held.result;
  const troubles: string[] = [];
  const mine = await openIndexedDatabase(factory as unknown as globalThis.IDBFactory, (trouble) => troubles.push(trouble));
  const newer = factory.open('klatch', DATABASE_VERSION + 1);
  older.close();
  await new Promise((resolve) => (newer.onsuccess = resolve));
  expect(troubles).toEqual(['storage_blocked']);
  expect(mine).toBeInstanceOf(IndexedDatabase);
  newer.result.close();
});

test('a database of the first version is taken over, and keeps profiles from then on', async () => {
  const factory = new IDBFactory();
  const first = factory.open('klatch', 1);
  first.onupgradeneeded = () => {
    for (const store of ['entries', 'rooms', 'outbox', 'drafts', 'state']) first.result.createObjectStore(store);
  };
  await new Promise((resolve) => (first.onsuccess = resolve));
  const written = first.result.transaction('drafts', 'readwrite');
  written.objectStore('drafts').put({ text: 'half a sen' }, ROOM);
  await new Promise((resolve) => (written.oncomplete = resolve));
  first.result.close();
  const database = await openIndexedDatabase(factory as unknown as globalThis.IDBFactory, () => {});
  const ben = { id: 'ben', username: 'ben', display_name: 'Ben' };
  await database.write({ profiles: [ben] });
  expect(await database.load()).toMatchObject({ drafts: [[ROOM, { text: 'half a sen' }]], profiles: [ben] });
  await database.wipe();
  expect((await database.load()).profiles).toEqual([]);
  database.close();
});

test('what was said while an earlier write is on its way is written before the page goes', async () => {
  const server = new Server();
  const profile = new Profile(server.network);
  const client = await online(profile);
  client.timeline(ROOM).subscribe(() => {});
  profile.goOffline();
  const write = IndexedDatabase.prototype.write;
  let begun = 0;
  // The disk is slow: they happen, and nobody hears of it.
  IndexedDatabase.prototype.write = function slow(writes) {
    begun += 1;
    void write.call(this, writes);
    return new Promise(() => {});
  };
  try {
    const texts = ['one', 'two', 'three'];
    // None of them is told to be kept.
    for (const text of texts) void client.send(ROOM, { text });
    await until('said', () => rowsOf(client, ROOM).length === texts.length && begun > 0);
    profile.sign('leaving');
    profile.crash();
    IndexedDatabase.prototype.write = write;
    const again = await profile.open();
    again.timeline(ROOM).subscribe(() => {});
    await until('shown', () => rowsOf(again, ROOM).length > 0);
    expect(rowsOf(again, ROOM)).toEqual(texts);
    await again.close();
  } finally {
    IndexedDatabase.prototype.write = write;
  }
});

test('a write is whole or not at all: no position without its entries', async () => {
  const factory = new IDBFactory();
  const database = await openIndexedDatabase(factory as unknown as globalThis.IDBFactory, () => {});
  const position = { generation: 1, seq: 2 };
  const broken = { position, message_id: 'm', at: () => 'a function cannot be stored' };
  const write = database.write({ inbox: position, rooms: [{ room: ROOM, position, facts: undefined }], entries: [[ROOM, broken as never]] });
  await expect(write).rejects.toThrow();
  expect(await database.load()).toMatchObject({ inbox: undefined, rooms: [] });
  database.close();
});

test('entries come back dense, next to the edge asked for, of one generation', async () => {
  const database = await openIndexedDatabase(new IDBFactory() as unknown as globalThis.IDBFactory, () => {});
  const entry = (seq: number, generation = 2) => ({ position: { generation, seq }, message_id: `m${seq}` }) as never;
  const held = [entry(1, 1), entry(2), entry(3), entry(5), entry(6), entry(7)];
  await database.write({ entries: held.map((one) => [ROOM, one] as const) });
  const seqs = async (range: { before?: number; after?: number; limit: number }, generation = 2) =>
    (await database.entries(ROOM, generation, range)).map((one) => one.position.seq);
  expect(await seqs({ before: 8, limit: 10 })).toEqual([5, 6, 7]);
  expect(await seqs({ before: 8, limit: 2 })).toEqual([6, 7]);
  expect(await seqs({ before: 9, limit: 10 })).toEqual([]);
  expect(await seqs({ after: 1, limit: 10 })).toEqual([2, 3]);
  expect(await seqs({ before: 4, limit: 10 }, 1)).toEqual([]);
  await database.wipe();
  expect(await seqs({ before: 8, limit: 10 })).toEqual([]);
  database.close();
});

test('a thousand queued messages survive a reload, in order', async () => {
  const server = new Server();
  const profile = new Profile(server.network);
  const client = await online(profile);
  profile.goOffline();
  const words = Array.from({ length: 1_000 }, (_, place) => `word ${place}`);
  await Promise.all(words.map((text) => client.send(ROOM, { text })));
  profile.crash();
  const again = await profile.open();
  expect(again.status.get().unsent).toBe(1_000);
  again.timeline(ROOM).subscribe(() => {});
  await until('rows', () => again.timeline(ROOM).get().length >= 1_000);
  expect(rowsOf(again, ROOM)).toEqual(words);
  await again.close();
}, 60_000);
