import { expect, test } from 'vitest';
import { Engine } from '../../src/core/engine/engine';
import type { Change, Effect } from '../../src/core/engine/events';
import { WEB_SETTINGS } from '../../src/core/shell/driver';

const ROOM = 'room';
const PAST = { user: 'me', inbox: { generation: 1, seq: 1 }, rooms: [{ room: ROOM, position: { generation: 1, seq: 10 } }], outbox: [] };
const LIMITS = { frame_bytes: 1, content_bytes: 1, in_flight: 8, sends_per_second: 50 };

function online(engine: Engine): Effect[] {
  engine.handle(1, { type: 'start' });
  engine.handle(1, { type: 'token_refreshed', access_token: 't', lives_ms: 900_000 });
  engine.handle(1, { type: 'connected' });
  engine.handle(1, { type: 'frame', frame: { type: 'welcome', connection: 'c', session: 's', user: 'me', inbox: 'i', server_time: '', heartbeat_ms: 1_000_000, limits: LIMITS, resumed: 'full' } });
  const inbox = { room: 'i', head: { generation: 1, seq: 1 }, entries: [], more: false };
  return engine.handle(1, { type: 'sync_answer', request: 1, answer: { rooms: [], inbox } });
}

function sent(effects: readonly Effect[]): unknown[] {
  const frames = effects.flatMap((effect) => (effect.type === 'send_frames' ? effect.frames : []));
  return frames.flatMap((frame) => (frame.type === 'send' ? [{ id: frame.message_id, content: frame.content, target: frame.target }] : []));
}

function told(effects: readonly Effect[]): Change[] {
  return effects.flatMap((effect) => (effect.type === 'changed' ? [effect.change] : []));
}

const text = (words: string) => ({ kind: 'text', content: { text: words } });
const stored = (id: string, seq: number) => ({ type: 'frame', frame: { type: 'stored', message_id: id, room: ROOM, position: { generation: 1, seq }, ordinal: seq, at: 't' } }) as const;

test('a message that never left takes another text; one that may be stored does not', () => {
  const engine = new Engine(WEB_SETTINGS, () => 0, PAST);
  engine.handle(1, { type: 'say', message_id: 'a', room: ROOM, draft: text('teh') });
  engine.handle(1, { type: 'revise', message_id: 'a', draft: text('the') });
  expect(sent(online(engine))).toEqual([{ id: 'a', content: { text: 'the' }, target: undefined }]);
  engine.handle(2, { type: 'revise', message_id: 'a', draft: text('other') });
  expect(engine.snapshot().outbox[0]?.draft.content).toEqual({ text: 'the' });
});

test('before a kept message leaves for the first time it is saved that it did', () => {
  const engine = new Engine(WEB_SETTINGS, () => 0, PAST);
  engine.handle(1, { type: 'say', message_id: 'a', room: ROOM, draft: text('x') });
  expect(engine.snapshot().outbox[0]?.fresh).toBe(true);
  const effects = online(engine).filter((effect) => effect.type === 'save' || effect.type === 'send_frames');
  expect(effects.map((effect) => effect.type)).toEqual(['save', 'send_frames']);
  expect(engine.snapshot().outbox[0]?.fresh).toBeUndefined();
});

test('an edit of a message on its way waits for its place, and holds what comes after', () => {
  const engine = new Engine(WEB_SETTINGS, () => 0, PAST);
  online(engine);
  engine.handle(2, { type: 'say', message_id: 'a', room: ROOM, draft: text('teh') });
  const edit = engine.handle(2, { type: 'say', message_id: 'b', room: ROOM, draft: { kind: 'edit', content: { text: 'the' } }, awaits: 'a' });
  const later = engine.handle(2, { type: 'say', message_id: 'c', room: ROOM, draft: text('next') });
  expect([...sent(edit), ...sent(later)]).toEqual([]);
  expect(engine.snapshot().outbox[1]).toMatchObject({ message_id: 'b', awaits: 'a' });
  expect(sent(engine.handle(3, stored('a', 11)))).toEqual([
    { id: 'b', content: { text: 'the' }, target: 11 },
    { id: 'c', content: { text: 'next' }, target: undefined },
  ]);
});

test('what would change a message that was refused for good is gone with it', () => {
  const engine = new Engine(WEB_SETTINGS, () => 0, PAST);
  online(engine);
  engine.handle(2, { type: 'say', message_id: 'a', room: ROOM, draft: text('x') });
  engine.handle(2, { type: 'say', message_id: 'b', room: ROOM, draft: { kind: 'delete', content: {} }, awaits: 'a' });
  const effects = engine.handle(3, { type: 'frame', frame: { type: 'refused', message_id: 'a', room: ROOM, code: 'blocked', detail: '', retryable: false } });
  expect(told(effects).map((change) => (change.type === 'message' ? [change.message_id, change.state] : change.type))).toEqual([
    ['a', 'refused'],
    ['b', 'gone'],
  ]);
  expect(engine.snapshot().outbox.map((message) => message.message_id)).toEqual(['a']);
});

test('an outbox that is full refuses, and says when to come again', () => {
  const engine = new Engine(WEB_SETTINGS, () => 0, PAST);
  for (let place = 0; place < 10_000; place += 1) engine.handle(1, { type: 'say', message_id: `m${place}`, room: ROOM, draft: text('x') });
  const [change] = told(engine.handle(1, { type: 'say', message_id: 'over', room: ROOM, draft: text('x') }));
  expect(change).toMatchObject({ state: 'refused', refusal: { code: 'busy', retryable: true, retry_after_ms: 1_000 } });
});
