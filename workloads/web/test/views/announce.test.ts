import { beforeEach, expect, it } from 'vitest';
import { ANNOUNCE_EVERY_MS, AnnouncementBatch } from '../../src/views/announce/batch';

let now: number;
let timers: { at: number; act: () => void }[];
let said: { at: number; text: string }[];
let batch: AnnouncementBatch;

beforeEach(() => {
  now = 0;
  timers = [];
  said = [];
  batch = new AnnouncementBatch((text) => said.push({ at: now, text }), (count) => `${count} new messages`, {
    now: () => now,
    after: (ms, act) => {
      const timer = { at: now + ms, act };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
  });
});

function advance(to: number): void {
  for (let due = timers.find((one) => one.at <= to); due; due = timers.find((one) => one.at <= to)) {
    timers.splice(timers.indexOf(due), 1);
    now = due.at;
    due.act();
  }
  now = to;
}

it('says the first at once', () => {
  batch.add('Ada: hello');
  expect(said).toEqual([{ at: 0, text: 'Ada: hello' }]);
});

it('batches what comes within two seconds into its number', () => {
  for (let index = 0; index < 6; index++) batch.add(`m${index}`);
  advance(10_000);
  expect(said).toEqual([{ at: 0, text: 'm0' }, { at: ANNOUNCE_EVERY_MS, text: '5 new messages' }]);
});

it('never speaks more than once in two seconds, however many come', () => {
  for (let at = 0; at < 20_000; at += 50) {
    advance(at);
    batch.add('m');
  }
  advance(30_000);
  said.slice(1).forEach((one, index) => expect(one.at - (said[index]?.at ?? 0)).toBeGreaterThanOrEqual(ANNOUNCE_EVERY_MS));
  expect(said.length).toBe(11);
});

it('drops what waits when another room is shown', () => {
  batch.add('a');
  batch.add('b');
  batch.drop();
  advance(10_000);
  expect(said.map((one) => one.text)).toEqual(['a']);
});
