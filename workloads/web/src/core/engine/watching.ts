import type { ClientFrame, SignalFrame, Watch } from '../wire/frames';
import { TYPING_EVERY_MS, WATCHED } from './settings';

/** What the user looks at; a new connection is told again. */
export class Watching {
  readonly #rooms = new Set<string>();
  readonly #presence = new Set<string>();
  readonly #typing = new Map<string, number>();

  /** Answers what is new. Beyond the bound nothing is added. */
  add(watch: Watch): ClientFrame | undefined {
    return frame('watch', add(this.#rooms, watch.rooms), add(this.#presence, watch.presence));
  }

  /** Answers what was there. */
  remove(watch: Watch): ClientFrame | undefined {
    const rooms = (watch.rooms ?? []).filter((room) => this.#rooms.delete(room));
    const presence = (watch.presence ?? []).filter((user) => this.#presence.delete(user));
    return frame('unwatch', rooms, presence);
  }

  /** The room is none of ours any more. */
  forget(room: string): void {
    this.#rooms.delete(room);
    this.#typing.delete(room);
  }

  /** Everything, for a new connection. */
  all(): ClientFrame | undefined {
    return frame('watch', [...this.#rooms].sort(), [...this.#presence].sort());
  }

  /** Whether this signal goes out: a key a thumb presses is not a frame. */
  maySignal(signal: SignalFrame, now: number): boolean {
    if (signal.kind !== 'typing') return true;
    const last = this.#typing.get(signal.room);
    if (last !== undefined && last + TYPING_EVERY_MS > now) return false;
    this.#typing.set(signal.room, now);
    return true;
  }
}

function add(held: Set<string>, wanted: readonly string[] = []): string[] {
  const added: string[] = [];
  for (const id of wanted) {
    if (held.size >= WATCHED || held.has(id)) continue;
    held.add(id);
    added.push(id);
  }
  return added;
}

function frame(type: 'watch' | 'unwatch', rooms: string[], presence: string[]): ClientFrame | undefined {
  if (rooms.length === 0 && presence.length === 0) return undefined;
  return { type, ...(rooms.length > 0 && { rooms }), ...(presence.length > 0 && { presence }) };
}
