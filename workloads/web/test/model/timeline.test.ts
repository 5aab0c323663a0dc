import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry } from '../../src/core/wire/entry';
import { Batch } from '../../src/core/model/cell';
import { RoomTimeline } from '../../src/core/model/room_timeline';
import { Runs } from '../../src/core/model/runs';
import type { Waiting } from '../../src/core/model/row';

function entry(seq: number, more: Partial<Entry> = {}): Entry {
  return { position: { generation: 1, seq }, prev_seq: seq - 1, ordinal: seq, message_id: `m${seq}`, sender: { user: 'ben', session: 's' }, at: '2026-11-25T10:00:00.000Z', kind: 'text', content_type: 'text/plain', content: { text: `line ${seq}` }, ...more };
}

const all = (from: number, to: number): Entry[] => Array.from({ length: to - from + 1 }, (_, place) => entry(from + place, (from + place) % 7 === 0 ? { kind: 'reaction', content: {} } : {}));

function opened(from: number, to: number, now = { ms: 0 }): RoomTimeline {
  const timeline = new RoomTimeline('room', new Batch(), () => ({ me: 'me', now: now.ms, threadRead: () => undefined, threadsFrom: 0 }));
  timeline.opened({ generation: 1, pieces: [{ floor: from - 1, head: to, entries: all(from, to) }] });
  return timeline;
}

function shown(timeline: RoomTimeline): string[] {
  const view = timeline.timeline.get();
  return Array.from({ length: view.length }, (_, index) => view.row(index)).map((row) => (row?.type === 'gap' ? `${row.after}..${row.before}` : (row?.key ?? 'none')));
}

test('pieces in any order make the log, with a gap wherever something is missing', () => {
  const page = fc.tuple(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 1, max: 15 }));
  fc.assert(
    fc.property(fc.array(page, { maxLength: 30 }), (pages) => {
      const runs = new Runs();
      runs.restart(100);
      const held = new Set<number>();
      for (const [floor, size] of pages) {
        runs.insert(floor, floor + size, all(floor + 1, floor + size));
        for (let seq = floor + 1; seq <= floor + size; seq += 1) held.add(seq);
      }
      const covered = Array.from({ length: 110 }, (_, seq) => seq).filter((seq) => runs.covers(seq));
      expect(covered).toEqual([...held].sort((one, other) => one - other));
      const seqs = runs.all.flatMap((run) => [...run.rows].map((row) => row.position.seq));
      expect(seqs).toEqual(covered.filter((seq) => seq % 7 !== 0));
      for (const [place, run] of runs.all.entries()) if (place > 0) expect(runs.all[place - 1]!.head).toBeLessThan(run.floor);
    }),
  );
});

test('rows are found by index and by seq, across gaps', () => {
  const timeline = opened(51, 60);
  timeline.page(1, { floor: 20, head: 25, entries: all(21, 25) }, 'below');
  expect(shown(timeline).slice(0, 7)).toEqual(['m22', 'm23', 'm24', 'm25', '25..51', 'm51', 'm52']);
  const view = timeline.timeline.get();
  expect([view.indexOf(25), view.indexOf(40), view.indexOf(51), view.indexOf(56)]).toEqual([3, -1, 5, -1]);
  // The row after 24 is held; the one after 30 is in the gap; after the last there is none.
  expect([view.indexAfter(24), view.indexAfter(30), view.indexAfter(50), view.indexAfter(60)]).toEqual([3, -1, 5, -1]);
  expect(view.row(view.length)).toBeUndefined();
});

test('entries that are no news in a room make no row, and leave no gap', () => {
  const timeline = new RoomTimeline('room', new Batch(), () => ({ me: 'me', now: 0, threadRead: () => undefined, threadsFrom: 0 }), ({ kind }) => kind.startsWith('member_'));
  const joined = (seq: number) => entry(seq, { kind: 'member_joined', content: { user: 'ada' } });
  timeline.opened({ generation: 1, pieces: [{ floor: 2, head: 4, entries: [joined(3), entry(4)] }] });
  timeline.append([joined(5), entry(6)]);
  timeline.older([entry(1), joined(2)]);
  expect(shown(timeline)).toEqual(['m1', 'm4', 'm6']);
  expect([timeline.timeline.get().appended, timeline.timeline.get().prepended, timeline.covers(3)]).toEqual([1, 1, true]);
});

test('a thread tells of its answers whatever order they come in, and says when there may be more', () => {
  const timeline = opened(51, 55);
  timeline.page(1, { floor: 20, head: 25, entries: all(21, 25) }, 'below');
  timeline.append([entry(57, { thread: 53 }), entry(58, { thread: 22, sender: { user: 'me', session: 's' } }), entry(59, { thread: 22 })]);
  const repliesOf = (seq: number) => {
    const row = timeline.timeline.get().row(timeline.timeline.get().indexOf(seq));
    return row?.type === 'message' ? row.replies : undefined;
  };
  expect(repliesOf(53)).toMatchObject({ count: 1, complete: true, people: ['ben'], unread: 0 });
  expect(repliesOf(22)).toMatchObject({ count: 2, complete: false, people: ['ben', 'me'], unread: 1 });
  timeline.threadPage(22, [entry(22), entry(40, { thread: 22, sender: { user: 'ada', session: 's' } })], false);
  expect(repliesOf(22)).toMatchObject({ count: 3, complete: true, people: ['ben', 'me', 'ada'] });
  timeline.update(entry(59, { thread: 22, deleted: true, content: {}, changed_seq: 60 }));
  expect(repliesOf(22)).toMatchObject({ count: 2, people: ['me', 'ada'], unread: 0 });
});

test('what is put before counts as prepended, what is filled in between joins the pieces', () => {
  const timeline = opened(51, 55);
  timeline.older(all(46, 50));
  expect(timeline.timeline.get().prepended).toBe(4);
  timeline.page(1, { floor: 30, head: 35, entries: all(31, 35) }, 'below');
  timeline.page(1, { floor: 35, head: 45, entries: all(36, 45) }, 'below');
  expect(shown(timeline)).not.toContain('35..46');
  expect(shown(timeline)[0]).toBe('m31');
  expect(timeline.timeline.get().hasOlder).toBe(true);
});

test('an append copies nothing: rows keep their identity, and only what changed is new', () => {
  const timeline = opened(1, 100_000);
  const before = timeline.timeline.get();
  expect(before.length).toBe(85_715);
  const rows = [before.row(0), before.row(500)];
  timeline.append([entry(100_001)]);
  timeline.update(entry(2, { content: { text: 'edited' }, changed_seq: 100_002 }));
  const after = timeline.timeline.get();
  expect(after).not.toBe(before);
  expect(after.length).toBe(85_716);
  expect(after.appended).toBe(1);
  expect([after.row(0), after.row(500)]).toEqual(rows);
  expect(after.row(0)).toBe(rows[0]);
  expect(after.row(1)).toMatchObject({ text: 'edited' });
});

test('an unsent message stands at the end, and is drawn with its changes', () => {
  const timeline = opened(1, 3);
  const waiting = (messageId: string, more: Partial<Waiting>): Waiting => ({ messageId, draft: { kind: 'text', content: { text: messageId } }, awaits: undefined, state: 'queued', failure: undefined, at: 5, ...more });
  timeline.setWaiting([
    waiting('new', {}),
    waiting('edit', { draft: { kind: 'edit', content: { text: 'better' }, target: 2 } }),
    waiting('like', { draft: { kind: 'reaction', content: { emoji: '👍', on: true }, target: 3 } }),
    waiting('fix', { draft: { kind: 'edit', content: { text: 'newer' } }, awaits: 'new' }),
  ]);
  const view = timeline.timeline.get();
  expect(view.row(1)).toMatchObject({ text: 'better', pending: true });
  expect(view.row(2)).toMatchObject({ reactions: [{ emoji: '👍', count: 1, mine: true }], pending: true });
  expect(view.row(3)).toMatchObject({ key: 'new', text: 'newer', state: 'queued', mine: true });
  timeline.setWaiting([waiting('edit', { draft: { kind: 'edit', content: { text: 'x' }, target: 2 }, state: 'failed', failure: { code: 'not_allowed', detail: 'no' } })]);
  expect(timeline.timeline.get().row(1)).toMatchObject({ text: 'line 2', pending: false, changeFailure: { code: 'not_allowed', changeId: 'edit' } });
  expect(timeline.timeline.get().length).toBe(3);
});

test('a row whose time is up loses its text', () => {
  const now = { ms: Date.parse('2026-11-25T10:00:00.000Z') };
  const timeline = opened(1, 1, now);
  timeline.append([entry(2, { expires_at: '2026-11-25T10:00:05.000Z' })]);
  expect(timeline.timeline.get().row(1)).toMatchObject({ text: 'line 2', expired: false });
  expect(timeline.expire(now.ms)).toBe(true);
  now.ms += 5_000;
  expect(timeline.expire(now.ms)).toBe(false);
  expect(timeline.timeline.get().row(1)).toMatchObject({ text: '', expired: true });
});

test('rows beyond the bound go at the front', () => {
  const runs = new Runs();
  runs.restart(0);
  runs.append(all(1, 20));
  runs.trim(10);
  expect([...runs.live!.rows].length).toBe(10);
  expect(runs.covers(8)).toBe(false);
});
