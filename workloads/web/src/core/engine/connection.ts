/** From no socket to a welcomed one and back. */
import { CLOSE, comesBack, type Welcome } from '../wire/frames';
import { Backoff } from './backoff';
import type { Engine } from './engine';
import type { RequestFailure, StopReason } from './events';
import { GREETING_MS, OPENING_MS, STABLE_MS } from './settings';

/** How far the connection has come. */
export type Phase =
  | { readonly type: 'stopped' }
  /** Wanted; there is no access token yet. */
  | { readonly type: 'token_wanted' }
  /** Wanted; not before this. */
  | { readonly type: 'waiting'; readonly until: number }
  /** The socket is being opened, `hello` was sent; given up then. */
  | { readonly type: 'opening'; readonly until: number }
  | { readonly type: 'greeting'; readonly until: number }
  | { readonly type: 'live'; readonly since: number };

/** The connection and what it leaves to the next one. */
export class Link {
  phase: Phase = { type: 'stopped' };
  readonly backoff = new Backoff();
  /** The server's word when to come back. */
  comeBackAt: number | undefined;
  last: string | undefined;

  get hasSocket(): boolean {
    return this.phase.type === 'opening' || this.phase.type === 'greeting' || this.phase.type === 'live';
  }
}

export function start(engine: Engine): void {
  const { type } = engine.link.phase;
  if (type === 'stopped' || type === 'waiting') connect(engine);
}

export function foreground(engine: Engine): void {
  const { type } = engine.link.phase;
  if (type === 'waiting') connect(engine);
  else if (type === 'live') engine.sync.wantAll(engine.rooms.keys());
}

export function stop(engine: Engine, reason: StopReason): void {
  hangUp(engine, CLOSE.normal);
  if (engine.link.phase.type === 'stopped') return;
  engine.link.phase = { type: 'stopped' };
  engine.tell({ type: 'stopped', reason });
}

function connect(engine: Engine): void {
  if (engine.token.text(engine.now) === undefined) {
    engine.token.rejected();
    engine.link.phase = { type: 'token_wanted' };
    return;
  }
  engine.link.phase = { type: 'opening', until: engine.now + OPENING_MS };
  engine.effect({ type: 'open_socket' });
}

/** The socket is open: say who we are. */
export function greet(engine: Engine): void {
  if (engine.link.phase.type !== 'opening') return;
  const token = engine.token.text(engine.now);
  if (token === undefined) {
    hangUp(engine, CLOSE.normal);
    return connect(engine);
  }
  engine.link.phase = { type: 'greeting', until: engine.now + GREETING_MS };
  engine.heartbeat.start(engine.now);
  const { last } = engine.link;
  const resume = last === undefined ? {} : { resume: { connection: last } };
  engine.effect({ type: 'send_frames', frames: [{ type: 'hello', token, client: engine.settings.client, ...resume }] });
}

export function welcomed(engine: Engine, welcome: Welcome): void {
  if (engine.link.phase.type !== 'greeting') return;
  if (engine.user !== undefined && engine.user !== welcome.user) return stop(engine, 'other_user');
  engine.user = welcome.user;
  engine.sessionId = welcome.session;
  engine.inboxRoom = welcome.inbox;
  engine.link.phase = { type: 'live', since: engine.now };
  engine.link.last = welcome.connection;
  engine.link.comeBackAt = undefined;
  engine.heartbeat.start(engine.now, welcome.heartbeat_ms);
  engine.outbox.connected(welcome.limits.in_flight, welcome.limits.sends_per_second);
  const complete = welcome.resumed === 'full';
  engine.sync.connected(engine.rooms.keys(), complete, engine.now, engine.random);
  if (complete) {
    // Nothing is missed since, but what was missed before is still to be asked for.
    for (const [room, held] of engine.rooms) if (held.timeline.isBehind) engine.sync.want(room);
  }
  engine.tell({ type: 'online' });
  engine.sendFrames([engine.watching.all()]);
}

export function takeReconnect(engine: Engine, afterMs: number): void {
  engine.link.comeBackAt = engine.now + afterMs;
}

/** The socket is gone by itself or by the server. */
export function lost(engine: Engine, code: number | undefined, retryAfterMs: number | undefined): void {
  const { link } = engine;
  if (!link.hasSocket) return;
  const since = link.phase.type === 'live' ? link.phase.since : undefined;
  forgetConnection(engine);
  if (code !== undefined && !comesBack(code)) {
    link.phase = { type: 'stopped' };
    return engine.tell({ type: 'stopped', ...(code === CLOSE.sessionRevoked ? { reason: 'signed_out' } : { reason: 'closed', code }) });
  }
  if (code === CLOSE.tokenExpired) engine.token.rejected();
  if (since !== undefined && since + STABLE_MS <= engine.now) link.backoff.reset();
  const told = link.comeBackAt === undefined ? undefined : Math.max(0, link.comeBackAt - engine.now);
  link.comeBackAt = undefined;
  const wait = link.backoff.nextOr(told ?? retryAfterMs, engine.random);
  link.phase = { type: 'waiting', until: engine.now + wait };
  engine.tell({ type: 'offline', ...(code !== undefined && { code }), retry_in_ms: wait });
}

/** Closes the socket from this side. */
function hangUp(engine: Engine, code: number): void {
  if (!engine.link.hasSocket) return;
  engine.effect({ type: 'close_socket', code });
  forgetConnection(engine);
}

/** Closes a socket that no longer does its work, and comes back as if it had broken. */
export function breakOff(engine: Engine, code: number): void {
  engine.effect({ type: 'close_socket', code });
  lost(engine, undefined, undefined);
}

/** Closes the socket and comes back at once. */
function renew(engine: Engine, code: number): void {
  hangUp(engine, code);
  engine.link.comeBackAt = undefined;
  engine.tell({ type: 'offline', retry_in_ms: 0 });
  connect(engine);
}

function forgetConnection(engine: Engine): void {
  engine.outbox.disconnected();
  engine.watermarks.disconnected(engine.now);
  engine.gaps.clear();
}

export function tokenRefreshed(engine: Engine, token: string, livesMs: number): void {
  engine.token.refreshed(engine.now, token, livesMs, engine.random);
  if (engine.link.phase.type === 'token_wanted') connect(engine);
  else engine.sendFrames([{ type: 'refresh', token }]);
}

const SESSION_IS_OVER = new Set(['session_revoked', 'unauthenticated', 'token_expired', 'not_allowed']);

export function refreshFailed(engine: Engine, failure: RequestFailure): void {
  engine.token.refreshFailed(engine.now, failure.retry_after_ms, engine.random);
  if (failure.code !== undefined && SESSION_IS_OVER.has(failure.code)) stop(engine, 'signed_out');
}

export function tokenRejected(engine: Engine): void {
  engine.token.rejected();
  if (engine.token.ask(engine.now)) engine.effect({ type: 'refresh_token' });
}

export function pump(engine: Engine): void {
  const { phase, comeBackAt } = engine.link;
  const { now } = engine;
  if (phase.type === 'waiting' && phase.until <= now) connect(engine);
  else if ((phase.type === 'opening' || phase.type === 'greeting') && phase.until <= now) breakOff(engine, CLOSE.normal);
  else if (phase.type !== 'live') return;
  else if (engine.heartbeat.deadAt() <= now) breakOff(engine, CLOSE.heartbeatMissed);
  else if (comeBackAt !== undefined && comeBackAt <= now) renew(engine, CLOSE.normal);
}

export function due(engine: Engine): number | undefined {
  const { phase, comeBackAt } = engine.link;
  if (phase.type === 'stopped' || phase.type === 'token_wanted') return undefined;
  if (phase.type !== 'live') return phase.until;
  return Math.min(comeBackAt ?? Infinity, engine.heartbeat.deadAt());
}

export function pumpToken(engine: Engine): void {
  if (tokenDue(engine) !== undefined && engine.token.ask(engine.now)) engine.effect({ type: 'refresh_token' });
}

export function tokenDue(engine: Engine): number | undefined {
  const { type } = engine.link.phase;
  return type === 'token_wanted' || type === 'live' ? engine.token.due() : undefined;
}
