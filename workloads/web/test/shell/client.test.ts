import { IDBFactory } from 'fake-indexeddb';
import { expect, test } from 'vitest';
import type { Client } from '../../src/core';
import type { ServerFrame } from '../../src/core/wire/frames';
import { BEN, ME, problem, ROOM, Server } from './server';
import { Profile, rowsOf, until } from './world';

async function signedIn(server: Server): Promise<{ profile: Profile; client: Client }> {
  const profile = new Profile(server.network);
  const client = await profile.open();
  await client.signIn({ username: 'me', password: 'secret', deviceName: 'test' });
  await online(client);
  return { profile, client };
}

const online = (client: Client) => until('online', () => client.status.get().connection === 'online' && client.rooms.get().loaded);

async function opened(client: Client, row: string): Promise<void> {
  client.timeline(ROOM).subscribe(() => {});
  await until(row, () => rowsOf(client, ROOM).includes(row));
}

test('a room looked at before it was known to be ours opens when it is', async () => {
  const server = new Server();
  server.write('hello');
  const profile = new Profile(server.network);
  const client = await profile.open();
  client.timeline(ROOM).subscribe(() => {});
  await client.signIn({ username: 'me', password: 'secret', deviceName: 'test' });
  await until('hello', () => rowsOf(client, ROOM).includes('hello'));
  await client.close();
});

test('threads: answers are counted, new ones of others are told until seen, drafts and places outlive the page', async () => {
  const server = new Server();
  const { profile, client } = await signedIn(server);
  await opened(client, await client.send(ROOM, { text: 'question' }).then(() => 'question'));
  await until('stored', () => client.status.get().unsent === 0);
  const repliesOf = (of: Client) => {
    const row = of.timeline(ROOM).get().row(0);
    return row?.type === 'message' ? row.replies : undefined;
  };
  expect(repliesOf(client)).toBeUndefined();
  server.write('one', ROOM, { thread: 1 });
  const second = server.write('two', ROOM, { thread: 1 });
  expect(await until('two', () => repliesOf(client)?.count === 2 && repliesOf(client))).toMatchObject({ complete: true, people: [BEN], unread: 2 });
  client.markThreadRead(ROOM, 1, second.position.seq);
  await until('seen', () => repliesOf(client)?.unread === 0);
  client.saveDraft(ROOM, { text: 'half a sen' }, 1);
  await until('draft', () => client.draft(ROOM, 1).get().text !== '');
  expect(client.draft(ROOM).get().text).toBe('');
  expect(client.thread(ROOM, 1).get().rows.map((row) => row.text)).toEqual(['one', 'two']);
  server.write('gone', ROOM, { kind: 'delete', content: {}, target: second.position.seq });
  await until('deleted', () => repliesOf(client)?.count === 1);
  await client.close();

  profile.goOffline();
  const again = await profile.open();
  await opened(again, 'question');
  await until('again', () => repliesOf(again)?.count === 1);
  expect(repliesOf(again)).toMatchObject({ unread: 0 });
  expect(again.draft(ROOM, 1).get().text).toBe('half a sen');
  await again.close();
});

test('a message is there at once, sent when stored, and under the same key', async () => {
  const server = new Server();
  server.write('hello');
  const { client } = await signedIn(server);
  await opened(client, 'hello');
  const before = client.timeline(ROOM).get();
  expect(before.row(0)).toMatchObject({ text: 'hello', mine: false, state: 'sent' });
  const id = await client.send(ROOM, { text: 'mine' });
  const row = await until('sent', () => {
    const last = client.timeline(ROOM).get().row(1);
    return last?.type === 'message' && last.state === 'sent' && last.seq !== undefined && last;
  });
  expect(row).toMatchObject({ key: id, seq: 2, mine: true, text: 'mine' });
  await client.close();
});

test('written offline, reloaded offline, sent once and in order when the network is back', async () => {
  const server = new Server();
  server.write('hello');
  const { profile, client } = await signedIn(server);
  await opened(client, 'hello');
  profile.goOffline();
  const words = Array.from({ length: 20 }, (_, place) => `offline ${place}`);
  for (const text of words) await client.send(ROOM, { text });
  profile.crash();

  const again = await profile.open();
  expect(again.account.get()).toMatchObject({ state: 'signed-in', user: ME });
  await opened(again, 'hello');
  expect(rowsOf(again, ROOM)).toEqual(['hello', ...words]);
  expect(again.room(ROOM).get()).toMatchObject({ title: 'Room room-1' });
  expect(again.status.get()).toMatchObject({ connection: 'offline', unsent: 20 });
  profile.goOnline();
  await until('all sent', () => again.status.get().unsent === 0);
  expect(server.texts()).toEqual(['hello', ...words]);
  expect(rowsOf(again, ROOM)).toEqual(['hello', ...words]);
  await again.close();
});

test('names are kept on the device, and asked for again once there is a network', async () => {
  const server = new Server();
  const { profile, client } = await signedIn(server);
  client.profile(BEN).subscribe(() => {});
  const name = await until('the name', () => client.profile(BEN).get()?.displayName);
  await client.close();

  profile.goOffline();
  const again = await profile.open();
  again.profile(BEN).subscribe(() => {});
  expect(again.profile(BEN).get()?.displayName).toBe(name);
  expect(again.profile(ME).get()?.displayName).toBe(again.me.get()?.displayName);
  await again.close();

  const asked = () => server.calls.filter((call) => call === 'GET /users').length;
  const before = asked();
  profile.goOnline();
  const online = await profile.open();
  online.profile(BEN).subscribe(() => {});
  expect(online.profile(BEN).get()?.displayName).toBe(name);
  await until('asked again', () => asked() === before + 1);
  await online.close();
});

test('a device that holds nothing starts in the midst of a room', async () => {
  const server = new Server();
  server.write('hello');
  const { profile, client } = await signedIn(server);
  await client.close();
  profile.indexedDB = new IDBFactory();
  const again = await profile.open();
  // As the view does: as soon as the list names the room.
  const look = (): void => {
    if (again.room(ROOM).get()) again.timeline(ROOM).subscribe(() => {});
  };
  const end = again.rooms.subscribe(look);
  look();
  await until('its row', () => rowsOf(again, ROOM).includes('hello'));
  end();
  await again.close();
});

test('an answer that is lost with the server leaves exactly one copy', async () => {
  const server = new Server();
  const { client } = await signedIn(server);
  server.isMute = true;
  await client.send(ROOM, { text: 'once' });
  await until('taken', () => server.texts().length === 1);
  server.goDown();
  server.isMute = false;
  server.isDown = false;
  await until('settled', () => client.status.get().unsent === 0);
  expect(server.texts()).toEqual(['once']);
  await client.close();
});

test('a final refusal stays with its message, and can be sent again or given up', async () => {
  const server = new Server();
  const { client } = await signedIn(server);
  client.timeline(ROOM).subscribe(() => {});
  server.refuse = () => ({ code: 'blocked', retryable: false });
  const [one, two] = [await client.send(ROOM, { text: 'one' }), await client.send(ROOM, { text: 'two' })];
  await until('both failed', () => client.status.get().failed === 2);
  expect(client.timeline(ROOM).get().row(0)).toMatchObject({ key: one, state: 'failed', failure: { code: 'blocked' } });
  expect(client.room(ROOM).get()).toMatchObject({ failed: 2 });
  server.refuse = undefined;
  await client.retry(one);
  await client.cancel(two);
  await until('settled', () => client.status.get().failed === 0 && client.status.get().unsent === 0);
  expect(server.texts()).toEqual(['one']);
  await client.close();
});

test('changes before and after it is stored: edited, deleted', async () => {
  const server = new Server();
  const { profile, client } = await signedIn(server);
  client.timeline(ROOM).subscribe(() => {});
  profile.goOffline();
  const [typo, gone] = [await client.send(ROOM, { text: 'teh' }), await client.send(ROOM, { text: 'oops' })];
  await client.edit(ROOM, typo, 'the');
  await client.delete(ROOM, gone);
  expect(rowsOf(client, ROOM)).toEqual(['the']);
  profile.goOnline();
  await until('stored', () => client.timeline(ROOM).get().indexOf(1) === 0);
  await client.edit(ROOM, 1, 'them');
  await client.react(ROOM, 1, '👍', true);
  const row = await until('changed', () => {
    const first = client.timeline(ROOM).get().row(0);
    return first?.type === 'message' && !first.pending && first.reactions.length === 1 && first;
  });
  expect(row).toMatchObject({ text: 'them', reactions: [{ emoji: '👍', count: 1, mine: true }] });
  expect(server.texts()).toEqual(['them']);
  await client.close();
});

test('an empty message is refused on the spot and leaves nothing', async () => {
  const server = new Server();
  const { client } = await signedIn(server);
  await expect(client.send(ROOM, { text: '' })).rejects.toMatchObject({ code: 'content_invalid' });
  expect(client.status.get()).toMatchObject({ unsent: 0, failed: 0 });
  await client.close();
});

test('scrolling back reads the network once, and storage after a reload', async () => {
  const server = new Server();
  for (let place = 1; place <= 300; place += 1) server.write(`line ${place}`);
  const { profile, client } = await signedIn(server);
  await opened(client, 'line 300');
  await until('first page', () => !client.timeline(ROOM).get().loadingOlder);
  const first = client.timeline(ROOM).get().length;
  await client.loadOlder(ROOM);
  expect(client.timeline(ROOM).get().length).toBeGreaterThan(first);
  while (client.timeline(ROOM).get().hasOlder) await client.loadOlder(ROOM);
  expect(rowsOf(client, ROOM)).toEqual(server.texts());
  await client.close();
  profile.goOffline();
  const again = await profile.open();
  await opened(again, 'line 300');
  while (again.timeline(ROOM).get().hasOlder) await again.loadOlder(ROOM);
  expect(rowsOf(again, ROOM)).toEqual(server.texts());
  await again.close();
});

test('a jump shows what is around, with gaps that fill from either side', async () => {
  const server = new Server();
  for (let place = 1; place <= 1_000; place += 1) server.write(`line ${place}`);
  const { client } = await signedIn(server);
  await opened(client, 'line 1000');
  await until('page', () => !client.timeline(ROOM).get().loadingOlder);
  expect(await client.loadAround(ROOM, 100)).toBe(true);
  const timeline = client.timeline(ROOM).get();
  expect(timeline.row(timeline.indexOf(100))).toMatchObject({ text: 'line 100' });
  expect(rowsOf(client, ROOM).filter((row) => row === '(gap)').length).toBe(1);
  for (let gap = gapOf(client), from: 'below' | 'above' = 'below'; gap; gap = gapOf(client)) {
    await client.fillGap(ROOM, gap, from);
    from = from === 'below' ? 'above' : 'below';
  }
  expect(rowsOf(client, ROOM)).toEqual(server.texts().slice(Number(rowsOf(client, ROOM)[0]?.slice(5)) - 1));
  expect(await client.loadAround(ROOM, 5_000)).toBe(false);
  await client.close();
});

function gapOf(client: Client) {
  const timeline = client.timeline(ROOM).get();
  for (let index = 0; index < timeline.length; index += 1) {
    const row = timeline.row(index);
    if (row?.type === 'gap') return row;
  }
  return undefined;
}

test('signing out wipes this device, tells the server, and a reload stays out', async () => {
  const server = new Server();
  server.write('private');
  const { profile, client } = await signedIn(server);
  await opened(client, 'private');
  client.saveDraft(ROOM, { text: 'half a thought' });
  client.changeSettings({ theme: 'dark' });
  await client.signOut();
  expect(client.account.get()).toEqual({ state: 'signed-out', reason: 'asked' });
  expect(client.rooms.get().rows).toEqual([]);
  expect(rowsOf(client, ROOM)).toEqual([]);
  expect(server.calls).toContain('DELETE /sessions/session-me');
  await client.close();
  const again = await profile.open();
  expect(again.account.get().state).toBe('signed-out');
  expect(again.settings.get().theme).toBe('dark');
  expect(again.draft(ROOM).get().text).toBe('');
  await again.close();
});

test('signed out offline: the session is ended as soon as a server is there', async () => {
  const server = new Server();
  const { profile, client } = await signedIn(server);
  profile.goOffline();
  await client.signOut();
  await client.close();
  profile.goOnline();
  expect(server.hasCookie).toBe(true);
  const again = await profile.open();
  await until('ended', () => again.account.get().state === 'signed-out' && !server.hasCookie);
  await again.close();
});

test('a device that was revoked forgets everything; one that lost its cookie keeps what it wrote', async () => {
  for (const code of ['session_revoked', 'unauthenticated']) {
    const server = new Server();
    const { profile, client } = await signedIn(server);
    profile.goOffline();
    await client.send(ROOM, { text: 'kept?' });
    profile.crash();
    server.intercept = (_, path) => (path === '/sessions/refresh' ? problem(401, code) : undefined);
    profile.isOnline = true;
    const again = await profile.open();
    await until('out', () => again.account.get().state === 'signed-out');
    server.intercept = undefined;
    await again.signIn({ username: 'me', password: 'secret', deviceName: 'test' });
    await online(again);
    await until('settled', () => again.status.get().unsent === 0);
    expect(server.texts()).toEqual(code === 'session_revoked' ? [] : ['kept?']);
    await again.close();
  }
});

test('a captive portal’s page is no answer: nothing is lost, and it goes on when the portal is gone', async () => {
  const server = new Server();
  const { profile, client } = await signedIn(server);
  profile.goOffline();
  await client.send(ROOM, { text: 'through' });
  profile.crash();
  server.intercept = () => ({ html: '<title>Welcome to the airport</title>' });
  profile.isOnline = true;
  const again = await profile.open();
  await expect(again.findUsers('ben')).rejects.toMatchObject({ code: 'offline' });
  expect(again.account.get().state).toBe('signed-in');
  server.intercept = undefined;
  again.reconnect();
  profile.sign('visible');
  await until('sent', () => server.texts().includes('through'));
  await again.close();
}, 30_000);

test('an answer that only the panel of its thread holds is edited and deleted there', async () => {
  const server = new Server();
  server.write('question');
  const answer = server.write('answer', ROOM, { thread: 1 });
  for (let place = 0; place < 300; place += 1) server.write(`line ${place}`);
  const { client } = await signedIn(server);
  await opened(client, 'line 299');
  await client.loadThread(ROOM, 1);
  const answers = () => client.thread(ROOM, 1).get().rows.map((row) => (row.deleted ? '(gone)' : row.text));
  expect(answers()).toEqual(['answer']);
  expect(rowsOf(client, ROOM)).not.toContain('answer');
  server.write('', ROOM, { kind: 'edit', content: { text: 'a better answer' }, target: answer.position.seq });
  await until('edited', () => answers()[0] === 'a better answer');
  server.write('', ROOM, { kind: 'delete', content: {}, target: answer.position.seq });
  await until('deleted', () => answers()[0] === '(gone)');
  // It is no part of the log that is held: nothing of it came into the room.
  expect(rowsOf(client, ROOM)).not.toContain('(gone)');
  await client.close();
});

test('a timer that fires a moment early is set again', async () => {
  const server = new Server();
  const { profile, client } = await signedIn(server);
  await online(client);
  profile.timersEarly = 50;
  for (const socket of [...server.sockets]) socket.end(1006);
  await until('lost', () => client.status.get().connection === 'waiting');
  await online(client);
  await client.close();
});

test('a timer that fires a moment early is set again although its moment comes while it is looked at', async () => {
  const server = new Server();
  const { profile, client } = await signedIn(server);
  await online(client);
  profile.timersEarly = 50;
  profile.clockMovesWhenRead = true;
  for (const socket of [...server.sockets]) socket.end(1006);
  await until('lost', () => client.status.get().connection === 'waiting');
  await online(client);
  await client.close();
});

test('a refresh whose answer was lost is asked again under the same key', async () => {
  const server = new Server();
  const { profile, client } = await signedIn(server);
  await client.close();
  server.keys.length = 0;
  let lost = 0;
  server.intercept = (_, path) => {
    if (path !== '/sessions/refresh' || (lost += 1) > 1) return undefined;
    throw new TypeError('the answer is lost');
  };
  const again = await profile.open();
  await online(again);
  expect(server.keys[0]).toBeDefined();
  expect(server.keys[1]).toBe(server.keys[0]);
  await again.close();
});

test('ten thousand missed entries cost one transaction per two hundred at most', async () => {
  const server = new Server();
  server.write('first');
  const { profile, client } = await signedIn(server);
  await opened(client, 'first');
  profile.goOffline();
  for (let place = 0; place < 10_000; place += 1) server.write(`line ${place}`);
  const count = countWrites();
  profile.goOnline();
  await until('caught up', () => client.room(ROOM).get()?.headSeq === 10_001 && client.status.get().connection === 'online');
  await client.close();
  expect(count()).toBeLessThanOrEqual(10_000 / 200 + 5);
  profile.goOffline();
  const again = await profile.open();
  expect(again.room(ROOM).get()).toMatchObject({ headSeq: 10_001, unread: 10_001 });
  await again.close();
}, 60_000);

test('four hundred messages that arrive one by one cost two transactions and a few', async () => {
  const server = new Server();
  const { client } = await signedIn(server);
  await until('first save', () => client.rooms.get().loaded);
  const count = countWrites();
  for (let place = 0; place < 400; place += 1) server.write(`line ${place}`);
  await until('all here', () => client.room(ROOM).get()?.headSeq === 400);
  await client.close();
  expect(count()).toBeLessThanOrEqual(400 / 200 + 3);
});

/** Counts write transactions from now on. */
function countWrites(): () => number {
  const open = IDBDatabase.prototype.transaction;
  let writes = 0;
  IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...args: Parameters<typeof open>) {
    if (args[1] === 'readwrite') writes += 1;
    return open.apply(this, args);
  };
  return () => {
    IDBDatabase.prototype.transaction = open;
    return writes;
  };
}

test('what others do shows: presence, typing, receipts, unread', async () => {
  const server = new Server();
  const { client } = await signedIn(server);
  const end = client.presence(BEN).subscribe(() => {});
  await until('watched', () => server.heard.some((frame) => frame.type === 'watch' && frame.presence?.includes(BEN)));
  const tell = (frame: ServerFrame): void => server.sockets.forEach((socket) => socket.tell(frame));
  tell({ type: 'presence', user: BEN, status: 'online' });
  tell({ type: 'signal', room: ROOM, user: BEN, kind: 'typing' });
  await until('there', () => client.presence(BEN).get().status === 'online' && client.typing(ROOM).get().includes(BEN));
  end();
  await until('unwatched', () => server.heard.some((frame) => frame.type === 'unwatch'));
  client.receipts(ROOM).subscribe(() => {});
  await client.send(ROOM, { text: 'read me' });
  await until('stored', () => server.texts().length === 1);
  tell({ type: 'watermark', room: ROOM, user: BEN, read: { generation: 1, seq: 1 } });
  await until('read', () => client.receipts(ROOM).get().readByAll === 1);
  server.write('news');
  await until('unread', () => client.room(ROOM).get()?.unread === 1);
  client.markRead(ROOM, 2);
  expect(client.room(ROOM).get()?.unread).toBe(0);
  await until('told', () => server.read === 2);
  await client.close();
}, 30_000);

test('what was read stays read without a network', async () => {
  const server = new Server();
  const { profile, client } = await signedIn(server);
  client.receipts(ROOM).subscribe(() => {});
  await client.send(ROOM, { text: 'read me' });
  await until('stored', () => server.texts().length === 1);
  for (const socket of server.sockets) socket.tell({ type: 'watermark', room: ROOM, user: BEN, read: { generation: 1, seq: 1 } });
  await until('read', () => client.receipts(ROOM).get().readByAll === 1);
  const follower = await profile.open();
  expect(follower.receipts(ROOM).get().readByAll).toBe(1);
  profile.goOffline();
  profile.sign('leaving');
  profile.crash();
  const again = await profile.open();
  await until('there', () => again.account.get().state === 'signed-in');
  expect(again.receipts(ROOM).get().readByAll).toBe(1);
  await again.close();
});

test('a message of another is notified of, unless its room is on screen', async () => {
  const server = new Server();
  const { client } = await signedIn(server);
  const told: string[] = [];
  client.onNotification(({ row }) => told.push(row.text));
  const end = client.view(ROOM);
  server.write('seen');
  await until('seen', () => client.room(ROOM).get()?.headSeq === 1);
  end();
  server.write('unseen');
  server.write('silent', ROOM, { silent: true });
  await until('all', () => client.room(ROOM).get()?.headSeq === 3);
  expect(told).toEqual(['unseen']);
  await client.close();
});
