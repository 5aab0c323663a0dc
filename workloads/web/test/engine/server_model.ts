/** A world of one room for property tests: an engine, and a server that may lose, double, delay and refuse. */
import { Engine } from '../../src/core/engine/engine';
import type { Change, Effect, Input } from '../../src/core/engine/events';
import { countsAsUnread, type Entry } from '../../src/core/wire/entry';
import type { SendFrame, ServerFrame } from '../../src/core/wire/frames';

export const ROOM = 'room';
const SETTINGS = { client: { name: 't', version: '1' }, depth: 'everything', rowsPerRoom: 10_000, farBehind: 10_000, delivered: true, save: false } as const;

export class World {
  readonly engine: Engine;
  readonly log: Entry[] = [];
  readonly changes: Change[] = [];
  readonly said: string[] = [];
  readonly #refusedHere = new Set<string>();
  #blockedBy: string | undefined;
  #socket = false;
  #pending: Effect[] = [];
  #frames: ServerFrame[] = [];
  #timer: number | undefined;
  now = 1_000;
  readonly #chance: () => number;

  constructor(chance: () => number) {
    this.#chance = chance;
    this.engine = new Engine(SETTINGS, chance, { user: 'me', inbox: { generation: 1, seq: 1 }, rooms: [{ room: ROOM, position: { generation: 1, seq: 0 } }], outbox: [] });
  }

  tell(input: Input): void {
    for (const effect of this.engine.handle(this.now, input)) {
      if (effect.type === 'changed') this.changes.push(effect.change);
      else if (effect.type === 'set_timer') this.#timer = effect.at;
      else this.#pending.push(effect);
    }
  }

  say(text: string): void {
    this.said.push(text);
    this.tell({ type: 'say', message_id: text, room: ROOM, draft: { kind: 'text', content: { text } } });
  }

  /** Another user writes; whether we hear of it is left to chance. */
  write(): void {
    this.#append('other', `other-${this.log.length}`, { kind: 'text', content: { text: 'x' } });
  }

  /** One thing happens: an effect is done, a frame arrives, or time passes. */
  step(trouble: number): void {
    const effect = this.#pending.shift();
    if (effect) return this.#do(effect, trouble);
    if (this.#frames.length > 0) return this.#deliver(trouble);
    if (this.#timer === undefined) return;
    this.now = Math.max(this.now, this.#timer);
    this.#timer = undefined;
    this.tell({ type: 'tick' });
  }

  breakSocket(): void {
    if (!this.#socket) return;
    this.#socket = false;
    this.#frames = [];
    this.#pending = this.#pending.filter((effect) => effect.type !== 'send_frames');
    this.tell({ type: 'disconnected', code: 4000 });
  }

  #deliver(trouble: number): void {
    // Out of order, lost, doubled: entries only, as answers on one socket keep their order.
    const place = this.#chance() < trouble ? Math.floor(this.#chance() * this.#frames.length) : 0;
    const at = this.#frames[place]?.type === 'message' ? place : 0;
    const [frame] = this.#frames.splice(at, 1);
    if (!frame) return;
    if (frame.type === 'message' && this.#chance() < trouble) return;
    this.tell({ type: 'frame', frame });
    if (frame.type === 'message' && this.#chance() < trouble) this.tell({ type: 'frame', frame });
  }

  #do(effect: Effect, trouble: number): void {
    switch (effect.type) {
      case 'refresh_token':
        return this.tell({ type: 'token_refreshed', access_token: 't', lives_ms: 900_000 });
      case 'open_socket':
        this.#socket = true;
        this.#blockedBy = undefined;
        this.#refusedHere.clear();
        return this.tell({ type: 'connected' });
      case 'close_socket':
        this.#socket = false;
        this.#frames = [];
        return;
      case 'send_frames':
        for (const frame of effect.frames) {
          if (!this.#socket) return;
          if (frame.type === 'hello') this.#welcome();
          if (frame.type === 'send') this.#take(frame, trouble);
        }
        return;
      case 'request_sync': {
        if (this.#chance() < trouble) return this.tell({ type: 'request_failed', request: effect.request, failure: {} });
        const limit = effect.body.limit ?? 200;
        const rooms = effect.body.rooms.map(({ room, position }) => ({
          room,
          head: { generation: 1, seq: this.log.length },
          entries: this.log.slice(position.seq, position.seq + limit),
          more: this.log.length > position.seq + limit,
        }));
        const inbox = { room: 'inbox', head: { generation: 1, seq: 1 }, entries: [], more: false };
        return this.tell({ type: 'sync_answer', request: effect.request, answer: { rooms, ...(effect.body.inbox && { inbox }) } });
      }
      case 'request_history': {
        if (this.#chance() < trouble) return this.tell({ type: 'request_failed', request: effect.request, failure: {} });
        const from = effect.after ?? 0;
        return this.tell({ type: 'history_answer', request: effect.request, entries: this.log.slice(from, from + effect.limit) });
      }
      default:
        return;
    }
  }

  #welcome(): void {
    const limits = { frame_bytes: 1, content_bytes: 1, in_flight: 8, sends_per_second: 50 };
    this.#frames.push({ type: 'welcome', connection: 'c', session: 's', user: 'me', inbox: 'inbox', server_time: '', heartbeat_ms: 3_600_000, limits, resumed: 'none' });
  }

  /** The gateway's rule: after a retryable refusal the room's later sends are refused until that id comes again. */
  #take(frame: SendFrame, trouble: number): void {
    const { message_id, room } = frame;
    const refuse = (): void => void this.#frames.push({ type: 'refused', message_id, room, code: 'busy', detail: '', retryable: true, retry_after_ms: 50 });
    if (this.#blockedBy !== undefined && this.#blockedBy !== message_id) return refuse();
    if (this.#chance() < trouble) {
      this.#blockedBy = message_id;
      return refuse();
    }
    this.#blockedBy = undefined;
    const known = this.log.find((entry) => entry.message_id === message_id);
    const entry = known ?? this.#append('me', message_id, frame);
    if (this.#chance() < trouble) return;
    this.#frames.push({ type: 'stored', message_id, room, position: entry.position, ordinal: entry.ordinal, at: entry.at });
  }

  #append(user: string, message_id: string, draft: Pick<Entry, 'kind' | 'content'>): Entry {
    const seq = this.log.length + 1;
    const ordinal = (this.log.at(-1)?.ordinal ?? 0) + (countsAsUnread(draft.kind) ? 1 : 0);
    const entry: Entry = { position: { generation: 1, seq }, prev_seq: seq - 1, ordinal, message_id, sender: { user, session: 's' }, at: `t${seq}`, kind: draft.kind, content_type: 'text/plain', content: draft.content };
    this.log.push(entry);
    if (this.#socket) this.#frames.push({ type: 'message', room: ROOM, entry, members_version: 1 });
    return entry;
  }
}
