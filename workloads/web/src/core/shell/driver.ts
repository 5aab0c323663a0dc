/** Runs the engine: does what it asks for, in order, and tells it what came of it. */
import { ClientError } from '../error';
import { Engine } from '../engine/engine';
import type { Change, Effect, Input, RequestFailure, Snapshot } from '../engine/events';
import type { History, RoomOut, SignedIn, SyncAnswer } from '../wire/http';
import { compact } from '../wire/compact';
import type { EngineSettings } from '../engine/settings';
import type { Authority } from './authority';
import type { Database } from './database';
import type { Environment } from './environment';
import { path, query } from './http';
import { Socket } from './socket';

/** A tick this late, ms, means the page slept: what was not heard meanwhile proves nothing. */
const SLEPT_MS = 2_000;
/** Lines of one page of the room list (wire contract: 200). */
const LIST_PAGE = 200;

export const WEB_SETTINGS: EngineSettings = {
  client: { name: 'klatch-web', version: '0.1.0' },
  depth: 'from_now',
  rowsPerRoom: 120_000,
  farBehind: 20_000,
  delivered: true,
  save: true,
};

/** What the driver tells whoever owns it. */
export interface Listener {
  changed(changes: readonly Change[]): void;
  listed(rooms: readonly RoomOut[]): void;
  refreshed(answer: SignedIn): void;
  refreshFailed(error: ClientError): void;
  greeted(serverTime: number): void;
  /** Rows before those held were loaded, or not. */
  olderDone(room: string, error: ClientError | undefined): void;
  /** Something was handled. */
  settled(): void;
  save(): Promise<void>;
}

export class Driver {
  readonly engine: Engine;
  readonly #environment: Environment;
  readonly #authority: Authority;
  readonly #database: Database;
  readonly #listener: Listener;
  readonly #socket: Socket;
  #effects: Effect[] = [];
  #performing = false;
  #performed: Promise<void> = Promise.resolve();
  #timer: unknown;
  #timerAt: number | undefined;
  #stopped = false;

  constructor(environment: Environment, server: string, authority: Authority, database: Database, snapshot: Snapshot, listener: Listener) {
    this.#environment = environment;
    this.#authority = authority;
    this.#database = database;
    this.#listener = listener;
    this.engine = new Engine(WEB_SETTINGS, environment.random, snapshot);
    this.#socket = new Socket(environment, server, (inputs) => this.#heard(inputs));
  }

  tell(...inputs: readonly Input[]): void {
    if (this.#stopped) return;
    const changes: Change[] = [];
    for (const input of inputs) {
      for (const effect of this.engine.handle(this.#environment.now(), input)) {
        if (effect.type === 'changed') changes.push(effect.change);
        else this.#effects.push(effect);
      }
    }
    if (changes.length > 0) this.#listener.changed(changes);
    this.#listener.settled();
    if (!this.#performing) this.#performed = this.#perform();
  }

  /** Everything asked for so far is done; what was said is on disk. */
  done(): Promise<void> {
    return this.#performed;
  }

  /** Something was said that waits for an earlier save to end. */
  get owesSave(): boolean {
    return this.#effects.some((effect) => effect.type === 'save');
  }

  /** Nothing is done or told any more. */
  stop(): void {
    this.tell({ type: 'stop' });
    this.#stopped = true;
    this.#environment.clearTimer(this.#timer);
    this.#socket.close(1000);
  }

  #heard(inputs: Input[]): void {
    for (const input of inputs) {
      if (input.type === 'frame' && input.frame.type === 'welcome') this.#listener.greeted(Date.parse(input.frame.server_time));
    }
    this.tell(...inputs);
  }

  /** One after the other: what stands behind a save waits for the disk. */
  async #perform(): Promise<void> {
    this.#performing = true;
    try {
      for (let effect = this.#effects.shift(); effect; effect = this.#effects.shift()) {
        if (effect.type !== 'save') {
          this.#do(effect);
          continue;
        }
        // What is written now is everything there is: saves asked for meanwhile are done by it too.
        this.#effects = this.#effects.filter((other) => other.type !== 'save');
        await this.#listener.save();
      }
    } finally {
      this.#performing = false;
    }
  }

  #do(effect: Effect): void {
    switch (effect.type) {
      case 'open_socket':
        return this.#socket.open();
      case 'close_socket':
        return this.#socket.close(effect.code);
      case 'send_frames':
        return this.#socket.send(effect.frames);
      case 'set_timer':
        return this.#setTimer(effect.at);
      case 'refresh_token':
        return void this.#refresh();
      case 'request_rooms':
        return void this.#ask(effect.request, async () => {
          const page = await this.#authority.call<{ rooms: RoomOut[]; next?: string }>({ method: 'GET', path: `/rooms${query({ limit: LIST_PAGE, after: effect.after })}` });
          this.#listener.listed(page.rooms);
          const rooms = page.rooms.map(({ id, head, member_count }) => ({ room: id, head, members: member_count }));
          return { type: 'rooms_answer', request: effect.request, rooms, ...(page.next !== undefined && { next: page.next }) };
        });
      case 'request_sync':
        return void this.#ask(effect.request, async () => {
          const answer = await this.#authority.call<SyncAnswer>({ method: 'POST', path: '/sync', body: effect.body });
          const rooms = answer.rooms.map((room) => (room.entries ? { ...room, entries: room.entries.map(compact) } : room));
          return { type: 'sync_answer', request: effect.request, answer: { ...answer, rooms } };
        });
      case 'request_history':
        return void this.#history(effect);
      default:
        return;
    }
  }

  async #history(effect: Extract<Effect, { type: 'request_history' }>): Promise<void> {
    const { room, request, before, after, limit } = effect;
    const isOlder = before !== undefined;
    let failed: ClientError | undefined;
    await this.#ask(request, async () => {
      const generation = this.engine.timeline(room)?.generation ?? 0;
      const held = isOlder ? await this.#database.entries(room, generation, { before, limit }) : [];
      if (held.length > 0) return { type: 'history_answer', request, entries: held };
      const call = path`/rooms/${room}/messages` + query({ before, after, limit });
      const page = await this.#authority.call<History>({ method: 'GET', path: call });
      return { type: 'history_answer', request, entries: page.entries.map(compact) };
    }, (error) => (failed = error));
    if (isOlder) this.#listener.olderDone(room, failed);
  }

  async #ask(request: number, answer: () => Promise<Input>, onError?: (error: ClientError) => void): Promise<void> {
    try {
      this.tell(await answer());
    } catch (error) {
      const known = error instanceof ClientError ? error : new ClientError('internal', String(error));
      onError?.(known);
      this.tell({ type: 'request_failed', request, failure: failureOf(known) });
    }
  }

  async #refresh(): Promise<void> {
    try {
      const answer = await this.#authority.refresh();
      if (this.#stopped) return;
      this.#authority.set(answer.access_token);
      this.#listener.refreshed(answer);
      this.tell({ type: 'token_refreshed', access_token: answer.access_token, lives_ms: answer.expires_in_seconds * 1_000 });
    } catch (error) {
      const known = error instanceof ClientError ? error : new ClientError('internal', String(error));
      if (this.#stopped) return;
      this.#authority.set(undefined);
      this.#listener.refreshFailed(known);
      this.tell({ type: 'refresh_failed', failure: failureOf(known) });
    }
  }

  #setTimer(at: number | undefined): void {
    this.#environment.clearTimer(this.#timer);
    this.#timer = undefined;
    this.#timerAt = at;
    if (at === undefined) return;
    this.#timer = this.#environment.setTimer(() => this.#tick(), Math.max(0, at - this.#environment.now()));
  }

  #tick(): void {
    // Read before the engine reads it: what is not early here is due there.
    const late = this.#environment.now() - (this.#timerAt ?? 0);
    this.#timer = undefined;
    if (late < SLEPT_MS) {
      this.tell({ type: 'tick' });
    } else {
      this.#socket.ping();
      this.tell({ type: 'heard' }, { type: 'tick' });
    }
    // Timers may come a moment early. To the engine it is still to come, so it will not ask for it again.
    if (late < 0 && this.#timer === undefined && !this.#stopped) this.#setTimer(this.#timerAt);
  }
}

function failureOf(error: ClientError): RequestFailure {
  return {
    ...(error.code !== 'offline' && { code: error.code }),
    ...(error.retryAfterMs !== undefined && { retry_after_ms: error.retryAfterMs }),
  };
}
