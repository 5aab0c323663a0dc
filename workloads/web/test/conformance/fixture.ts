/** Runs one fixture of tests/samples/client/ against the engine. The Rust client's core runs the same files. */
import { Engine } from '../../src/core/engine/engine';
import type { Change, Effect, Input, SavedMessage, Snapshot } from '../../src/core/engine/events';
import { Threads } from '../../src/core/engine/threads';
import type { Timeline } from '../../src/core/engine/timeline';
import type { Entry, Position } from '../../src/core/wire/entry';

export interface Fixture {
  readonly says: string;
  readonly settings: { readonly depth: 'from_now' | 'everything'; readonly rows_per_room: number; readonly delivered: boolean };
  readonly snapshot?: Snapshot;
  /** By room: how far it was read, for the unread count. */
  readonly read?: { readonly [room: string]: number };
  readonly steps: Step[];
  expect?: Outcome;
}

interface Step {
  readonly input?: Input;
  /** Time passes, with a tick whenever the engine asked for one. */
  readonly advance_ms?: number;
  /** The outside clock is set by so much. */
  readonly clock_ms?: number;
  expect?: unknown[];
}

export interface Outcome {
  readonly rooms: readonly string[];
  readonly timelines: { readonly [room: string]: { readonly position: Position; readonly floor: number; readonly rows: readonly Entry[] } };
  readonly unread: { readonly [room: string]: number };
  /** By room, by the seq of a thread's first message, of those held: how many answers there are, and the last one's seq. */
  readonly threads?: { readonly [room: string]: { readonly [root: string]: { readonly replies: number; readonly last: number } } };
  readonly outbox: readonly SavedMessage[];
}

/** Any time will do; it is not zero, so that "never" differs from "now". */
const START_MS = 1_000_000;

export function run(fixture: Fixture): { readonly steps: unknown[][]; readonly outcome: Outcome } {
  const { depth, rows_per_room: rows, delivered } = fixture.settings;
  const settings = { client: { name: 'fixture', version: '1' }, depth, rowsPerRoom: rows, farBehind: rows, delivered, save: false };
  const engine = new Engine(settings, generator(7), fixture.snapshot);
  let now = START_MS;
  let timer: number | undefined;
  const tell = (input: Input): unknown[] => {
    const told: unknown[] = [];
    for (const effect of engine.handle(now, input)) {
      if (effect.type === 'set_timer') timer = effect.at;
      told.push(...shown(effect));
    }
    return told;
  };
  const steps = fixture.steps.map((step) => {
    const told: unknown[] = [];
    now += step.clock_ms ?? 0;
    const until = now + (step.advance_ms ?? 0);
    while (step.advance_ms !== undefined && timer !== undefined && timer <= until) {
      now = Math.max(now, timer);
      timer = undefined;
      told.push(...tell({ type: 'tick' }));
    }
    now = until;
    if (step.input) told.push(...tell(step.input));
    return told;
  });
  return { steps, outcome: outcomeOf(engine, fixture) };
}

function outcomeOf(engine: Engine, fixture: Fixture): Outcome {
  const rooms = engine.roomIds().sort();
  const timelines: Record<string, Outcome['timelines'][string]> = {};
  const unread: Record<string, number> = {};
  const threads: Record<string, NonNullable<Outcome['threads']>[string]> = {};
  for (const room of rooms) {
    const timeline = engine.timeline(room);
    if (!timeline) continue;
    const held = [...timeline.rows];
    timelines[room] = { position: timeline.position, floor: timeline.floor, rows: held };
    const summaries = threadsOf(timeline);
    if (Object.keys(summaries).length > 0) threads[room] = summaries;
    const read = fixture.read?.[room];
    const at = read === undefined ? undefined : timeline.row(read)?.ordinal;
    if (at !== undefined) unread[room] = (held.at(-1)?.ordinal ?? 0) - at;
  }
  // What has never left may be changed: only this client knows of it.
  const outbox = engine.snapshot().outbox.map(({ fresh: _fresh, ...message }) => message);
  return { rooms, timelines, unread, ...(Object.keys(threads).length > 0 && { threads }), outbox };
}

function threadsOf(timeline: Timeline): NonNullable<Outcome['threads']>[string] {
  const threads = new Threads();
  const roots = new Set<number>();
  for (const entry of timeline.rows) roots.add(threads.note(entry) ?? 0);
  const summaries: Record<string, { replies: number; last: number }> = {};
  for (const root of roots) {
    const answers = timeline.row(root) ? threads.answers(root, (seq) => timeline.row(seq)) : [];
    const last = answers.at(-1);
    if (last) summaries[root] = { replies: answers.length, last: last.position.seq };
  }
  return summaries;
}

/** What both clients show alike of an effect: waits are drawn by chance, and saving is each one's own affair. */
function shown(effect: Effect): unknown[] {
  if (effect.type === 'set_timer' || effect.type === 'save') return [];
  if (effect.type === 'send_frames') return effect.frames.map((frame) => ({ type: 'send_frame', frame }));
  return effect.type === 'changed' ? shownChange(effect.change) : [effect];
}

function shownChange(change: Change): unknown[] {
  if (change.type === 'message' && change.state === 'gone') return [];
  if (change.type !== 'offline') return [{ type: 'changed', change }];
  const { retry_in_ms: _wait, ...rest } = change;
  return [{ type: 'changed', change: rest }];
}

/** A linear congruential generator: the same numbers in every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
}
