import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Backoff } from '../../src/core/engine/backoff';
import { Clock } from '../../src/core/engine/clock';
import { Deque } from '../../src/core/engine/deque';
import { Heartbeat } from '../../src/core/engine/heartbeat';
import { Pace } from '../../src/core/engine/pace';
import { Token } from '../../src/core/engine/token';
import { uuid7 } from '../../src/core/shell/environment';

test('waits fill a ceiling that doubles from half a second to thirty', () => {
  const backoff = new Backoff();
  const most = Array.from({ length: 10 }, () => backoff.next(() => 0.999_999));
  expect(most).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  backoff.reset();
  expect(backoff.nextOr(12_345, () => 0)).toBe(12_345);
  expect(backoff.next(() => 0.999_999)).toBe(1_000);
});

test('a clock set back stands still and then goes on', () => {
  const clock = new Clock();
  expect([1_000, 200, 250].map((at) => clock.advance(at))).toEqual([1_000, 1_000, 1_050]);
  expect(clock.outside(1_100)).toBe(300);
  expect(clock.advance(5_000)).toBe(5_800);
});

test('two silent heartbeats end a connection', () => {
  const heartbeat = new Heartbeat();
  heartbeat.start(1_000, 20_000);
  expect(heartbeat.deadAt()).toBe(41_000);
  heartbeat.heard(30_000);
  expect(heartbeat.deadAt()).toBe(70_000);
  heartbeat.start(0, 1);
  expect(heartbeat.deadAt()).toBe(2_000);
});

test('a burst leaves at once and then the pace holds', () => {
  const pace = new Pace();
  pace.set(50);
  let sent = 0;
  for (let now = 10_000; now < 20_000; now += 1) {
    for (; pace.readyAt() <= now; sent += 1) pace.sent(now);
    if (now === 10_000) expect(sent).toBeGreaterThanOrEqual(250);
  }
  expect(sent).toBeGreaterThanOrEqual(749);
  expect(sent).toBeLessThanOrEqual(752);
});

test('a token is asked for once at a time, refreshed before its end, and not shown close to it', () => {
  const token = new Token();
  expect([token.ask(0), token.ask(0)]).toEqual([true, false]);
  token.refreshed(1_000, 'one', 900_000, () => 0);
  expect(token.text(1_000)).toBe('one');
  expect(token.due()).toBe(1_000 + 900_000 - 60_000);
  expect(token.text(1_000 + 900_000 - 5_000)).toBeUndefined();
  token.rejected();
  expect(token.ask(1_001)).toBe(true);
  token.refreshFailed(1_001, 7_000, () => 0);
  expect([token.ask(8_000), token.ask(8_001)]).toEqual([false, true]);
});

test('a deque is a list that grows and shrinks at both ends', () => {
  const action = fc.oneof(fc.record({ type: fc.constantFrom('push', 'unshift'), value: fc.nat() }), fc.constant({ type: 'shift', value: 0 }));
  fc.assert(
    fc.property(fc.array(action, { maxLength: 300 }), (actions) => {
      const deque = new Deque<number>();
      const list: number[] = [];
      for (const { type, value } of actions) {
        if (type === 'push') (deque.push(value), list.push(value));
        else if (type === 'unshift') (deque.unshift(value), list.unshift(value));
        else expect(deque.shift()).toBe(list.shift());
      }
      expect([...deque]).toEqual(list);
      expect(deque.at(-1)).toBeUndefined();
      expect(deque.at(list.length)).toBeUndefined();
    }),
  );
});

test('a deque that loses thousands at its front keeps the rest', () => {
  const deque = new Deque<number>();
  for (let value = 0; value < 10_000; value += 1) deque.push(value);
  for (let value = 0; value < 9_000; value += 1) expect(deque.shift()).toBe(value);
  expect(deque.at(0)).toBe(9_000);
  expect(deque.length).toBe(1_000);
});

test('ids sort as they were made', () => {
  const id = (ms: number): string => uuid7(ms, (bytes) => bytes.fill(0xff));
  expect(id(1)).toMatch(/^00000000-0001-7fff-bfff-f{12}$/);
  expect(id(1_795_572_408_549) < id(1_795_572_408_550)).toBe(true);
});
