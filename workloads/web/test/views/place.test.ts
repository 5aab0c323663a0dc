import { expect, it } from 'vitest';
import type { GapRow, MessageRow, NoticeRow } from '../../src/core/interface';
import { newIndex, needsLoading } from '../../src/views/timeline/new_line';
import { placeOf } from '../../src/views/timeline/place';
import { indexOfKey, moveTo } from '../../src/views/timeline/rove';
import { message } from '../../src/views/testing/script';
import { timelineOf } from '../../src/views/testing/timeline';

const at = (row: MessageRow, time: string): MessageRow => ({ ...row, at: new Date(time).getTime() });
const first = at(message(1, 'u-ada', 0, 'a'), '2026-03-01T10:00:00');
const gap: GapRow = { type: 'gap', key: 'g', after: 1, before: 5 };

it('groups messages of one sender that are near each other', () => {
  expect(placeOf(at(message(2, 'u-ada', 0, 'b'), '2026-03-01T10:04:00'), first, false)).toEqual({ day: false, grouped: true });
});

it('begins a new group for another sender, after a rest, for a reply, at the new line, after a gap', () => {
  const next = at(message(2, 'u-ada', 0, 'b'), '2026-03-01T10:04:00');
  expect(placeOf({ ...next, sender: 'u-ben' }, first, false).grouped).toBe(false);
  expect(placeOf(at(next, '2026-03-01T10:05:00'), first, false).grouped).toBe(false);
  expect(placeOf({ ...next, replyTo: 1 }, first, false).grouped).toBe(false);
  expect(placeOf(next, first, true).grouped).toBe(false);
  expect(placeOf(next, gap, false)).toEqual({ day: false, grouped: false });
});

it('puts a day line over the first row and over the first of each day', () => {
  expect(placeOf(first, undefined, false).day).toBe(true);
  expect(placeOf(at(message(2, 'u-ada', 0, 'b'), '2026-03-02T00:01:00'), at(first, '2026-03-01T23:59:00'), false)).toEqual({ day: true, grouped: false });
});

it('draws the new line over the first message of others only', () => {
  const rows = [message(1, 'u-ada', 9, 'a'), message(2, 'u-ada', 8, 'b'), message(3, 'u-me', 7, 'c')];
  expect(newIndex(timelineOf('r', rows), 1)).toBe(1);
  expect(newIndex(timelineOf('r', rows), 2)).toBe(-1);
  expect(newIndex(timelineOf('r', rows), 3)).toBe(-1);
  expect(newIndex(timelineOf('r', rows), undefined)).toBe(-1);
});

it('draws the new line over the message that comes after notices', () => {
  const notice = (seq: number): NoticeRow => ({ type: 'notice', key: `n-${seq}`, seq, sender: 'u-ada', at: 0, kind: 'member_joined', user: 'u-ada' });
  expect(newIndex(timelineOf('r', [notice(1), notice(2), message(3, 'u-ada', 8, 'b')]), 0)).toBe(2);
  expect(newIndex(timelineOf('r', [notice(1), notice(2)]), 0)).toBe(-1);
});

it('asks for rows that lie before what is held or in a gap', () => {
  const rows = [message(40, 'u-ada', 9, 'a'), message(41, 'u-ada', 8, 'b')];
  expect(needsLoading(timelineOf('r', rows, { hasOlder: true }), 12)).toBe(true);
  expect(needsLoading(timelineOf('r', rows, { hasOlder: true }), 40)).toBe(false);
  expect(needsLoading(timelineOf('r', rows, { hasOlder: true }), 0)).toBe(true);
  expect(needsLoading(timelineOf('r', [message(900, 'u-ada', 9, 'a')], { hasOlder: true }), 0)).toBe(false);
  expect(needsLoading(timelineOf('r', [message(1, 'u-ada', 9, 'a'), gap, message(5, 'u-ada', 8, 'b')]), 1)).toBe(true);
});

it('moves the focus by keys and finds its row again after history came before it', () => {
  expect(moveTo('ArrowUp', 0, 5)).toBe(0);
  expect(moveTo('ArrowDown', 3, 5)).toBe(4);
  expect(moveTo('Home', 3, 5)).toBe(0);
  expect(moveTo('End', 0, 5)).toBe(4);
  expect(moveTo('x', 0, 5)).toBeUndefined();
  const rows = Array.from({ length: 30 }, (_, index) => message(index + 1, 'u-ada', 30 - index, 'a'));
  expect(indexOfKey(timelineOf('r', rows), 'm-25', 4)).toBe(24);
  expect(indexOfKey(timelineOf('r', rows), 'gone', 4)).toBe(-1);
});
