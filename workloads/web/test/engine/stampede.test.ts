import { expect, test } from 'vitest';
import { Engine } from '../../src/core/engine/engine';
import type { Effect, Input } from '../../src/core/engine/events';

const CLIENTS = 500;
const SETTINGS = { client: { name: 't', version: '1' }, depth: 'everything', rowsPerRoom: 100, farBehind: 100, delivered: true, save: false } as const;
/** Time of one step, and of a window in which dials are counted, ms. */
const STEP_MS = 10;
const WINDOW_MS = 1_000;
/** How long the server stays away, ms. */
const AWAY_MS = 120_000;

/** One client on a server that is there, and then is not: it notes when it dials and what it asks for. */
class Client {
  readonly #engine: Engine;
  readonly dials: number[] = [];
  tokens = 0;
  requests = 0;
  now = 0;
  #timer: number | undefined;

  constructor(seed: number) {
    let state = seed * 7_919 + 1;
    const chance = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let warm = 0; warm < 10; warm += 1) chance();
    this.#engine = new Engine(SETTINGS, chance, { user: 'me', inbox: { generation: 1, seq: 1 }, rooms: [], outbox: [] });
    this.tell({ type: 'start' });
    this.tell({ type: 'token_refreshed', access_token: 't', lives_ms: 3_600_000 });
    this.tell({ type: 'connected' });
    const limits = { frame_bytes: 1, content_bytes: 1, in_flight: 8, sends_per_second: 50 };
    this.tell({ type: 'frame', frame: { type: 'welcome', connection: 'c', session: 's', user: 'me', inbox: 'inbox', server_time: '', heartbeat_ms: 3_600_000, limits, resumed: 'full' } });
    [this.dials.length, this.tokens, this.requests] = [0, 0, 0];
  }

  get isOnline(): boolean {
    return this.#engine.isOnline;
  }

  tell(input: Input): void {
    for (const effect of this.#engine.handle(this.now, input)) this.#note(effect);
  }

  /** Time passes; each socket that is opened is refused at once. */
  pass(until: number): void {
    this.now = until;
    if (this.#timer === undefined || this.#timer > until) return;
    this.#timer = undefined;
    const before = this.dials.length;
    this.tell({ type: 'tick' });
    if (this.dials.length > before) this.tell({ type: 'disconnected' });
  }

  #note(effect: Effect): void {
    if (effect.type === 'set_timer') this.#timer = effect.at;
    if (effect.type === 'open_socket') this.dials.push(this.now);
    if (effect.type === 'refresh_token') this.tokens += 1;
    if (effect.type.startsWith('request_')) this.requests += 1;
  }
}

/** Most dials of all clients in any window that begins at a step. */
function busiest(dials: readonly number[], from: number, until: number): number {
  let most = 0;
  for (let start = from; start < until; start += STEP_MS) most = Math.max(most, dials.filter((at) => at >= start && at < start + WINDOW_MS).length);
  return most;
}

test('500 clients cut off at once come back apart, ever slower, and ask for nothing but a socket', () => {
  const clients = Array.from({ length: CLIENTS }, (_, seed) => new Client(seed));
  expect(clients.every((client) => client.isOnline)).toBe(true);
  for (const client of clients) client.tell({ type: 'disconnected', code: 4000 });
  for (let now = STEP_MS; now <= AWAY_MS; now += STEP_MS) for (const client of clients) client.pass(now);
  const dials = clients.flatMap((client) => client.dials).sort((one, other) => one - other);
  // The first wait is drawn from half a second: a tenth of it sees no more than a fifth of them.
  for (let start = 0; start < 500; start += 50) expect(dials.filter((at) => at >= start && at < start + 50).length).toBeLessThan(CLIENTS / 5);
  // From the first half minute on a second sees at most a fifth of them, in the last minute a tenth: waits of 15 s on average.
  expect(busiest(dials, 10_000, 30_000)).toBeLessThan(CLIENTS / 5);
  expect(busiest(dials, 60_000, AWAY_MS)).toBeLessThan(CLIENTS / 8);
  // Nobody is forgotten: each has tried within the longest wait.
  for (const client of clients) expect(client.dials.at(-1)).toBeGreaterThan(AWAY_MS - 30_000 - WINDOW_MS);
  expect(clients.reduce((sum, client) => sum + client.tokens + client.requests, 0)).toBe(0);
});
