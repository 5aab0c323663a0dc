import { expect, test } from 'vitest';
import type { Client } from '../../src/core';
import { ROOM, Server } from './server';
import { Profile, rowsOf, until } from './world';

async function two(): Promise<{ server: Server; profile: Profile; leader: Client; follower: Client }> {
  const server = new Server();
  server.write('hello');
  const profile = new Profile(server.network);
  const leader = await profile.open();
  await leader.signIn({ username: 'me', password: 'secret', deviceName: 'test' });
  await until('online', () => leader.status.get().connection === 'online');
  const follower = await profile.open();
  for (const client of [leader, follower]) {
    client.timeline(ROOM).subscribe(() => {});
    await until('rows', () => rowsOf(client, ROOM).includes('hello'));
  }
  return { server, profile, leader, follower };
}

test('one tab owns the socket, and both show the same', async () => {
  const { server, leader, follower } = await two();
  expect([leader.status.get().leader, follower.status.get().leader]).toEqual([true, false]);
  expect(server.sockets.size).toBe(1);
  await follower.send(ROOM, { text: 'from the follower' });
  await leader.send(ROOM, { text: 'from the leader' });
  server.write('from ben');
  const want = ['hello', 'from the follower', 'from the leader', 'from ben'];
  await until('same', () => [leader, follower].every((client) => rowsOf(client, ROOM).length === 4 && client.status.get().unsent === 0));
  expect(rowsOf(leader, ROOM)).toEqual(server.texts());
  expect(rowsOf(follower, ROOM)).toEqual(server.texts());
  expect([...server.texts()].sort()).toEqual([...want].sort());
  follower.changeSettings({ theme: 'dark' });
  follower.saveDraft(ROOM, { text: 'draft' });
  await until('told', () => leader.settings.get().theme === 'dark' && leader.draft(ROOM).get().text === 'draft');
  await follower.close();
  await leader.close();
});

test('when the leader goes the other leads from what is stored, and nothing is lost or doubled', async () => {
  const { server, profile, leader, follower } = await two();
  profile.goOffline();
  const words = Array.from({ length: 10 }, (_, place) => `word ${place}`);
  for (const [place, text] of words.entries()) await (place % 2 === 0 ? leader : follower).send(ROOM, { text });
  await leader.close();
  await until('leads', () => follower.status.get().leader);
  expect(rowsOf(follower, ROOM)).toEqual(['hello', ...words]);
  profile.goOnline();
  await until('sent', () => follower.status.get().unsent === 0 && server.texts().length === 11);
  expect(server.texts()).toEqual(['hello', ...words]);
  await until('rows', () => rowsOf(follower, ROOM).length === 11);
  await follower.close();
});

test('what a tab asked of a leader that went is asked of the next', async () => {
  const { server, leader, follower } = await two();
  let hold = true;
  server.intercept = (_, path) => (path === '/users' && hold ? { html: 'x', status: 200 } : undefined);
  const closing = leader.close();
  hold = false;
  const found = follower.findUsers('ben');
  await closing;
  expect((await found).length).toBe(1);
  await follower.close();
});

test('signing out in one tab signs out all', async () => {
  const { leader, follower } = await two();
  await follower.signOut();
  await until('out', () => [leader, follower].every((client) => client.account.get().state === 'signed-out'));
  expect(rowsOf(follower, ROOM)).toEqual([]);
  await follower.close();
  await leader.close();
});

test('no notification of a room that is on screen in another tab', async () => {
  const { server, leader, follower } = await two();
  const told: string[] = [];
  leader.onNotification(({ row }) => told.push(row.text));
  follower.onNotification(({ row }) => told.push(row.text));
  const end = follower.view(ROOM);
  await until('watched', () => server.heard.some((frame) => frame.type === 'watch' && frame.rooms?.includes(ROOM)));
  server.write('seen');
  await until('seen', () => rowsOf(leader, ROOM).includes('seen'));
  end();
  await until('unwatched', () => server.heard.some((frame) => frame.type === 'unwatch'));
  server.write('unseen');
  await until('unseen', () => rowsOf(leader, ROOM).includes('unseen'));
  expect(told).toEqual(['unseen']);
  await follower.close();
  await leader.close();
});
