/**
 * The client without any I/O: told what happened, it answers what to do. No clock, no socket, no randomness of its own: the
 * same inputs at the same times give the same effects. It is the twin of the Rust client's core, and the fixtures under
 * tests/samples/client/ hold for both.
 *
 * It promises, whatever the network does: every message said is stored exactly once or reported refused, a sender's order in
 * a room holds, and every log it shows is dense, in order and in the end the server's.
 */
import { NOTHING } from '../wire/entry';
import type { ClientFrame } from '../wire/frames';
import * as answer from './answer';
import type { Random } from './backoff';
import { Clock } from './clock';
import * as connection from './connection';
import type { Change, Effect, Input, ListedRoom, Snapshot } from './events';
import * as frames from './frames';
import { Gaps } from './gaps';
import { Heartbeat } from './heartbeat';
import * as log from './log';
import { Outbox } from './outbox';
import { CATCH_UP_WAIT_MS, SAVE_EVERY_MS, type EngineSettings } from './settings';
import { Sync } from './sync';
import { Timeline } from './timeline';
import { Token } from './token';
import * as user from './user';
import { Watching } from './watching';
import { Watermarks } from './watermarks';

/** One room this client is in, as far as it knows. */
export interface Room {
  timeline: Timeline;
  /** The server says we are not in it, the inbox has not said so yet. */
  denied: boolean;
  /** How many are in it, when the room list said so. */
  members: number | undefined;
}

/** One signed-in client. Fields are for the files of this folder; others use `handle`, `snapshot` and the questions. */
export class Engine {
  readonly settings: EngineSettings;
  readonly random: Random;
  readonly #clock = new Clock();
  /** Inside time of the input being handled, ms. */
  now = 0;
  #effects: Effect[] = [];
  #timer: number | undefined;
  #saveAt: number | undefined;

  user: string | undefined;
  sessionId: string | undefined;
  readonly link = new connection.Link();
  readonly heartbeat = new Heartbeat();
  readonly token = new Token();

  inboxRoom: string | undefined;
  inbox: Timeline;
  readonly rooms = new Map<string, Room>();
  /** A client without a past reads room list and inbox from the start; the inbox decides, the list tells where logs end. */
  firstFold: { readonly listed: Map<string, ListedRoom>; readonly decided: Set<string> } | undefined;
  readonly sync: Sync;
  readonly gaps = new Gaps();
  readonly older = new Set<string>();
  readonly requests = new Map<number, answer.Purpose>();
  #lastRequest = 0;

  readonly outbox = new Outbox();
  readonly watermarks = new Watermarks();
  readonly watching = new Watching();

  /** A client, stopped. `snapshot` is what `snapshot()` gave in an earlier life. */
  constructor(settings: EngineSettings, random: Random, snapshot: Snapshot = { inbox: NOTHING, rooms: [], outbox: [] }) {
    const isNew = snapshot.inbox.generation === 0 && snapshot.inbox.seq === 0;
    this.settings = settings;
    this.random = random;
    this.user = snapshot.user;
    this.inbox = new Timeline(0, snapshot.user);
    this.firstFold = isNew ? { listed: new Map(), decided: new Set() } : undefined;
    this.sync = new Sync(isNew ? { from: undefined } : 'read');
    user.restore(this, snapshot);
  }

  /** Tells it what happened at this time of the outside clock, ms; answers what to do, in order. The clock may jump. */
  handle(nowMs: number, input: Input): Effect[] {
    this.now = this.#clock.advance(nowMs);
    this.#take(input);
    this.#pump();
    return this.#finish();
  }

  /** The rooms this client is in. */
  roomIds(): string[] {
    return [...this.rooms].filter(([, room]) => !room.denied).map(([id]) => id);
  }

  timeline(room: string): Timeline | undefined {
    const held = this.rooms.get(room);
    return held && !held.denied ? held.timeline : undefined;
  }

  /** Whether the connection carries messages. */
  get isOnline(): boolean {
    return this.link.phase.type === 'live';
  }

  /** Live and caught up. */
  get isCaughtUp(): boolean {
    return this.isOnline && this.sync.isCaughtUp();
  }

  /** What a later engine needs to go on from here. */
  snapshot(): Snapshot {
    return user.snapshot(this);
  }

  #take(input: Input): void {
    switch (input.type) {
      case 'tick':
        return;
      case 'start':
        return connection.start(this);
      case 'stop':
        return connection.stop(this, 'asked');
      case 'foreground':
        return connection.foreground(this);
      case 'connected':
        return connection.greet(this);
      case 'frame':
        return frames.take(this, input.frame);
      case 'heard':
        return this.heartbeat.heard(this.now);
      case 'disconnected':
        return connection.lost(this, input.code, input.retry_after_ms);
      case 'token_refreshed':
        return connection.tokenRefreshed(this, input.access_token, input.lives_ms);
      case 'refresh_failed':
        return connection.refreshFailed(this, input.failure);
      case 'token_rejected':
        return connection.tokenRejected(this);
      case 'rooms_answer':
        return answer.takeRooms(this, input.request, input.rooms, input.next);
      case 'sync_answer':
        return answer.takeSync(this, input.request, input.answer);
      case 'history_answer':
        return answer.takeHistory(this, input.request, input.entries);
      case 'request_failed':
        return answer.takeFailure(this, input.request, input.failure);
      case 'say':
        return user.say(this, input.message_id, input.room, input.draft, input.awaits);
      case 'revise':
        return user.revise(this, input.message_id, input.draft);
      case 'retry':
        return user.retry(this, input.message_id);
      case 'discard':
        return user.discard(this, input.message_id);
      case 'read':
        return user.read(this, input.room, input.seq);
      case 'watch':
        return this.sendFrames([this.watching.add(input.watch)]);
      case 'unwatch':
        return this.sendFrames([this.watching.remove(input.watch)]);
      case 'signal':
        if (this.isOnline && this.watching.maySignal(input.signal, this.now)) this.sendFrames([input.signal]);
        return;
      case 'older':
        return answer.askOlder(this, input.room, input.limit);
      case 'entered':
        return log.enter(this, input.room, undefined);
    }
  }

  /** Does whatever is due. */
  #pump(): void {
    connection.pump(this);
    connection.pumpToken(this);
    const { phase } = this.link;
    if (phase.type !== 'live') return;
    if (this.sync.checkIsDue(this.now, this.random)) this.sync.wantAll(this.rooms.keys());
    answer.pumpGaps(this);
    answer.pumpSync(this);
    if (this.sync.hasJustCaughtUp()) this.tell({ type: 'caught_up' });
    this.outbox.checkSilence(this.now);
    if (this.#maySendMessages(phase.since)) this.#sendMessages();
    this.sendFrames(this.watermarks.flush(this.now));
  }

  #sendMessages(): void {
    const { leaving, fresh } = this.outbox.pump(this.now, this.sessionId);
    // From now on they may be stored under this text: a later life must not change it.
    if (fresh) this.saveNow();
    for (const { messageId, room } of leaving) this.tell({ type: 'message', message_id: messageId, room, state: 'sending' });
    this.sendFrames(leaving.map((item) => ({ type: 'send', message_id: item.messageId, room: item.room, ...item.draft })));
  }

  /** No queued message leaves before the catch-up is done, unless that takes too long. */
  #maySendMessages(since: number): boolean {
    return this.sync.isCaughtUp() || since + CATCH_UP_WAIT_MS <= this.now;
  }

  #finish(): Effect[] {
    const effects: Effect[] = [];
    if (this.settings.save && this.#saveAt !== undefined && this.#saveAt <= this.now) {
      this.#saveAt = undefined;
      effects.push({ type: 'save' });
    }
    for (const effect of this.#effects) {
      const last = effects.at(-1);
      if (effect.type === 'send_frames' && last?.type === 'send_frames') last.frames.push(...effect.frames);
      else effects.push(effect);
    }
    this.#effects = [];
    const due = this.#nextDue();
    const timer = due === undefined ? undefined : this.#clock.outside(Math.max(due, this.now + 1));
    if (timer !== this.#timer) {
      this.#timer = timer;
      effects.push({ type: 'set_timer', at: timer });
    }
    return effects;
  }

  #nextDue(): number | undefined {
    const save = this.settings.save ? this.#saveAt : undefined;
    const dues = [connection.due(this), connection.tokenDue(this), save];
    const { phase } = this.link;
    if (phase.type === 'live') {
      const waits = this.outbox.length > 0 ? phase.since + CATCH_UP_WAIT_MS : undefined;
      dues.push(this.sync.due(), this.gaps.due(), this.watermarks.due());
      dues.push(this.#maySendMessages(phase.since) ? this.outbox.due() : waits);
    }
    let least: number | undefined;
    for (const due of dues) if (due !== undefined && Number.isFinite(due) && (least === undefined || due < least)) least = due;
    return least;
  }

  effect(effect: Effect): void {
    this.#effects.push(effect);
  }

  tell(change: Change): void {
    this.#effects.push({ type: 'changed', change });
  }

  /** On the live connection; else they are dropped. */
  sendFrames(frames: readonly (ClientFrame | undefined)[]): void {
    const present = frames.filter((frame) => frame !== undefined);
    if (present.length > 0 && this.isOnline) this.effect({ type: 'send_frames', frames: present });
  }

  saveNow(): void {
    this.#saveAt = this.now;
  }

  saveSoon(): void {
    this.#saveAt ??= this.now + SAVE_EVERY_MS;
  }

  request(purpose: answer.Purpose): number {
    this.#lastRequest += 1;
    this.requests.set(this.#lastRequest, purpose);
    return this.#lastRequest;
  }
}
