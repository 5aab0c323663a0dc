/** A scripted server: rooms with logs, one user's inbox, HTTP and socket as the wire contract has them. */
import type { Entry } from '../../src/core/wire/entry';
import { countsAsUnread, needsTarget } from '../../src/core/wire/entry';
import type { ClientFrame, SendFrame, ServerFrame } from '../../src/core/wire/frames';
import type { Network } from './world';

export const ME = 'user-me';
export const BEN = 'user-ben';
export const ROOM = 'room-1';

type Answer = { status?: number; body?: unknown; html?: string };

/** One end of a socket, as the page sees it. */
export class FakeSocket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readyState = 0;
  bufferedAmount = 0;
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
    queueMicrotask(() => {
      if (server.isDown) return this.end(1006);
      this.readyState = 1;
      this.onopen?.();
    });
  }

  send(text: string): void {
    for (const line of text.split('\n')) this.#server.hear(this, JSON.parse(line) as ClientFrame);
  }

  close(): void {
    if (this.readyState < 2) this.end(1000);
  }

  /** The server's side closes. */
  end(code: number): void {
    this.readyState = 3;
    this.#server.sockets.delete(this);
    queueMicrotask(() => this.onclose?.({ code }));
  }

  tell(...frames: readonly ServerFrame[]): void {
    const data = frames.map((frame) => JSON.stringify(frame)).join('\n');
    queueMicrotask(() => this.readyState === 1 && this.onmessage?.({ data }));
  }
}

export class Server {
  readonly logs = new Map<string, Entry[]>([[ROOM, []]]);
  readonly inbox: Entry[] = [];
  readonly sockets = new Set<FakeSocket>();
  readonly heard: ClientFrame[] = [];
  readonly calls: string[] = [];
  readonly keys: string[] = [];
  isDown = false;
  /** Answers a call before the server does. */
  intercept: ((method: string, path: string) => Answer | undefined) | undefined;
  /** Decides over a send; undefined stores it. */
  refuse: ((frame: SendFrame) => { code: string; retryable: boolean; retry_after_ms?: number } | undefined) | undefined;
  /** `stored` is not told: the answer got lost. */
  isMute = false;
  hasCookie = false;
  read = 0;
  heartbeatMs = 30_000;

  readonly network: Network = {
    fetch: (async (input: string, init: RequestInit) => this.#fetch(new URL(input), init)) as unknown as typeof fetch,
    socket: () => {
      const socket = new FakeSocket(this);
      this.sockets.add(socket);
      return socket as unknown as WebSocket;
    },
  };

  /** Another user writes. */
  write(text: string, room = ROOM, more: Partial<Entry> = {}): Entry {
    return this.#append(room, { kind: 'text', content: { text }, ...more }, BEN);
  }

  /** The server is gone: sockets break, calls fail. */
  goDown(): void {
    this.isDown = true;
    for (const socket of [...this.sockets]) socket.end(1006);
  }

  texts(room = ROOM): string[] {
    return (this.logs.get(room) ?? []).filter((entry) => entry.kind === 'text').map((entry) => String(entry.content['text']));
  }

  hear(socket: FakeSocket, frame: ClientFrame): void {
    this.heard.push(frame);
    if (frame.type === 'hello') return this.#welcome(socket);
    if (frame.type === 'ping') return socket.tell({ type: 'pong', server_time: new Date().toISOString() });
    if (frame.type === 'watermark' && frame.read) this.read = Math.max(this.read, frame.read.seq);
    if (frame.type !== 'send') return;
    const { message_id, room } = frame;
    const refused = this.refuse?.(frame);
    if (refused) return socket.tell({ type: 'refused', message_id, room, detail: 'no', ...refused });
    const known = this.logs.get(room)?.find((entry) => entry.message_id === message_id);
    const { type: _type, room: _room, ...draft } = frame;
    const entry = known ?? this.#append(room, draft, ME);
    if (!this.isMute) socket.tell({ type: 'stored', message_id, room, position: entry.position, ordinal: entry.ordinal, at: entry.at });
  }

  #welcome(socket: FakeSocket): void {
    const limits = { frame_bytes: 65_536, content_bytes: 32_768, in_flight: 512, sends_per_second: 50 };
    const server_time = new Date().toISOString();
    socket.tell({ type: 'welcome', connection: 'c', session: 'session-me', user: ME, inbox: 'inbox', server_time, heartbeat_ms: this.heartbeatMs, limits, resumed: 'none' });
  }

  #append(room: string, draft: Partial<Entry>, user: string): Entry {
    const log = this.logs.get(room) ?? [];
    this.logs.set(room, log);
    const last = log.at(-1);
    const seq = log.length + 1;
    const counts = countsAsUnread(draft.kind ?? 'text') && draft.silent !== true;
    const entry: Entry = {
      position: { generation: 1, seq },
      prev_seq: seq - 1,
      ordinal: (last?.ordinal ?? 0) + (counts ? 1 : 0),
      message_id: `message-${room}-${seq}`,
      sender: { user, session: `session-${user}` },
      at: new Date().toISOString(),
      kind: 'text',
      content_type: 'text/plain',
      content: {},
      ...draft,
    };
    log.push(entry);
    this.#change(log, entry);
    for (const socket of this.sockets) socket.tell({ type: 'message', room, entry, members_version: 1 });
    return entry;
  }

  #change(log: Entry[], entry: Entry): void {
    const target = entry.target === undefined ? undefined : log[entry.target - 1];
    if (!target || !needsTarget(entry.kind)) return;
    const changed = { ...target, changed_seq: entry.position.seq };
    if (entry.kind === 'edit') log[entry.target! - 1] = { ...changed, content: entry.content, edited_at: entry.at };
    else if (entry.kind === 'delete') log[entry.target! - 1] = { ...changed, content: {}, deleted: true };
    else log[entry.target! - 1] = changed;
  }

  async #fetch(url: URL, init: RequestInit): Promise<Response> {
    if (this.isDown) throw new TypeError('no server');
    const call = url.pathname.replace('/v1', '');
    this.calls.push(`${init.method} ${call}`);
    const key = (init.headers as Record<string, string>)['idempotency-key'];
    if (key) this.keys.push(key);
    const { status = 200, body, html } = this.intercept?.(init.method ?? 'GET', call) ?? this.#answer(init.method ?? 'GET', call, url, init);
    if (html !== undefined) return new Response(html, { status, headers: { 'content-type': 'text/html' } });
    if (status === 204) return new Response(null, { status });
    return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } });
  }

  #answer(method: string, call: string, url: URL, init: RequestInit): Answer {
    const body = init.body ? (JSON.parse(String(init.body)) as Record<string, unknown>) : {};
    if (call === '/sessions' && method === 'POST') return this.#signedIn(true);
    if (call === '/sessions/refresh') return this.hasCookie ? this.#signedIn(true) : problem(401, 'unauthenticated');
    if (call.startsWith('/sessions/') && method === 'DELETE') return this.#signedIn(false);
    if (call === '/rooms') return { body: { rooms: [...this.logs.keys()].map((room) => this.#room(room)) } };
    if (call === '/sync') return { body: this.#sync(body as never) };
    if (call === '/users') return { body: { users: [profile(BEN)] } };
    const [, noun, room = '', part] = call.split('/');
    if (noun === 'rooms' && part === 'messages') return { body: this.#history(room, url.searchParams) };
    if (noun === 'rooms' && part === 'members') return { body: { members: [ME, BEN].map((user) => ({ user: profile(user), role: 'member', joined_at: new Date(0).toISOString() })) } };
    if (noun === 'rooms' && part === undefined && this.logs.has(room)) return { body: { room: this.#room(room) } };
    return problem(404, 'not_found');
  }

  #signedIn(isIn: boolean): Answer {
    this.hasCookie = isIn;
    if (!isIn) return { status: 204 };
    const user = { ...profile(ME), read_receipts: true };
    return { body: { session_id: 'session-me', user, access_token: 'token', expires_in_seconds: 900 } };
  }

  #room(room: string): unknown {
    const log = this.logs.get(room) ?? [];
    const last = log.at(-1);
    return {
      id: room,
      kind: 'group',
      name: `Room ${room}`,
      member_count: 2,
      role: 'member',
      head: { generation: 1, seq: log.length },
      head_ordinal: last?.ordinal ?? 0,
      read: { generation: 1, seq: this.read },
      read_ordinal: log[this.read - 1]?.ordinal ?? 0,
      unread_mentions: 0,
      preferences: { notify: 'all' },
      ...(last && { last_message: last }),
    };
  }

  #sync(body: { rooms: { room: string; position: { seq: number } }[]; inbox?: { seq: number }; limit?: number }): unknown {
    const limit = body.limit ?? 200;
    const answer = (room: string, log: readonly Entry[], seq: number): unknown => ({
      room,
      head: { generation: 1, seq: log.length },
      head_ordinal: log.at(-1)?.ordinal ?? 0,
      entries: log.slice(seq, seq + limit),
      more: log.length > seq + limit,
    });
    const rooms = body.rooms.map(({ room, position }) => answer(room, this.logs.get(room) ?? [], position.seq));
    return { rooms, ...(body.inbox && { inbox: answer('inbox', this.inbox, body.inbox.seq) }) };
  }

  #history(room: string, query: URLSearchParams): unknown {
    const log = this.logs.get(room) ?? [];
    const limit = Number(query.get('limit') ?? 50);
    const after = query.get('after');
    const thread = query.get('thread');
    if (thread !== null) {
      const answers = log.filter((entry) => entry.thread === Number(thread) && entry.position.seq > Number(after));
      return { entries: answers.slice(0, limit), more: answers.length > limit };
    }
    if (after !== null) {
      const from = Number(after);
      return { entries: log.slice(from, from + limit), more: log.length > from + limit };
    }
    const before = Number(query.get('before') ?? log.length + 1) - 1;
    return { entries: log.slice(Math.max(0, before - limit), before), more: before > limit };
  }
}

function profile(user: string): { id: string; username: string; display_name: string } {
  return { id: user, username: user, display_name: user };
}

export function problem(status: number, code: string): Answer {
  return { status, body: { code, title: code, status, detail: code, trace_id: 't' } };
}
