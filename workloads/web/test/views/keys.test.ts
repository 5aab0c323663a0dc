import { expect, it } from 'vitest';
import { commandOf, neighbour, type Key } from '../../src/views/layout/keys';
import { formatRoute, parseRoute, type Route } from '../../src/views/route';
import { askState, ASK_AGAIN_MS } from '../../src/views/notifications/permission';
import { rank } from '../../src/views/switcher/rank';

const key = (name: string, more: Partial<Key> = {}): Key => ({ key: name, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });

it('knows the page-wide keys', () => {
  expect(commandOf(key('k', { ctrlKey: true }))).toBe('switcher');
  expect(commandOf(key('k', { metaKey: true }))).toBe('switcher');
  expect(commandOf(key('/', { ctrlKey: true }))).toBe('shortcuts');
  expect(commandOf(key('F6'))).toBe('next-region');
  expect(commandOf(key('F6', { ctrlKey: true, shiftKey: true }))).toBe('previous-region');
  expect(commandOf(key('ArrowDown', { altKey: true }))).toBe('next-room');
  expect(commandOf(key('ArrowUp', { altKey: true, shiftKey: true }))).toBe('previous-unread');
  expect(commandOf(key('Escape'))).toBe('mark-read');
});

it('takes no single letter, so that typing and speech input are safe', () => {
  for (let code = 33; code < 127; code++) expect(commandOf(key(String.fromCharCode(code)))).toBeUndefined();
});

it('goes round the rooms, and to the unread ones only', () => {
  const room = (id: string, unread = 0) => ({ id, unread, markedUnread: false });
  const rows = [room('a'), room('b', 2), room('c'), room('d', 1)];
  expect(neighbour(rows, 'd', 1, false)?.id).toBe('a');
  expect(neighbour(rows, 'a', -1, false)?.id).toBe('d');
  expect(neighbour(rows, 'b', 1, true)?.id).toBe('d');
  expect(neighbour(rows, 'd', 1, true)?.id).toBe('b');
  expect(neighbour(rows, undefined, 1, false)?.id).toBe('a');
  expect(neighbour(rows, undefined, -1, false)?.id).toBe('d');
  expect(neighbour([room('a')], 'a', 1, true)).toBeUndefined();
});

it('writes and reads routes, and takes nonsense for home', () => {
  const routes: Route[] = [
    { page: 'home' }, { page: 'people' }, { page: 'settings', section: 'look' }, { page: 'room', room: 'r-1' },
    { page: 'room', room: 'r-1', at: 7 }, { page: 'room', room: 'r-1', panel: { kind: 'thread', root: 7 } }, { page: 'room', room: 'r-1', panel: { kind: 'members' } },
  ];
  for (const route of routes) expect(parseRoute(formatRoute(route))).toEqual(route);
  for (const text of ['#/nowhere', '#/room', '#/room/<script>', '']) expect(parseRoute(text)).toEqual({ page: 'home' });
  expect(parseRoute('#/room/r-1/thread/-4')).toEqual({ page: 'room', room: 'r-1' });
});

it('asks for notifications once in 30 days', () => {
  expect(askState('default', undefined, 0)).toBe('ask');
  expect(askState('default', 1_000, 1_000 + ASK_AGAIN_MS - 1)).toBe('asked');
  expect(askState('default', 1_000, 1_000 + ASK_AGAIN_MS)).toBe('ask');
  expect(askState('denied', undefined, 0)).toBe('denied');
  expect(askState(undefined, undefined, 0)).toBe('unsupported');
});

it('ranks what begins like the query first', () => {
  expect(rank('Launch', 'la')).toBe(0);
  expect(rank('design reviews', 'rev')).toBe(1);
  expect(rank('Launch', 'unc')).toBe(2);
  expect(rank('design reviews', 'dsr')).toBe(3);
  expect(rank('Launch', 'xyz')).toBeUndefined();
});
