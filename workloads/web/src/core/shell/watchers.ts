import type { Input } from '../engine/events';
import type { Watch } from '../wire/frames';

/** Rooms and users that some tab looks at; the engine hears of the union. */
export class Watchers {
  readonly #tell: (input: Input) => void;
  readonly #tabs = new Map<string, Watch>();
  #rooms = new Set<string>();
  #presence = new Set<string>();

  constructor(tell: (input: Input) => void) {
    this.#tell = tell;
  }

  /** Everything a tab looks at now; nothing when it is gone. */
  set(tab: string, watch: Watch): void {
    if ((watch.rooms?.length ?? 0) + (watch.presence?.length ?? 0) === 0) this.#tabs.delete(tab);
    else this.#tabs.set(tab, watch);
    const rooms = new Set<string>();
    const presence = new Set<string>();
    for (const one of this.#tabs.values()) {
      for (const room of one.rooms ?? []) rooms.add(room);
      for (const user of one.presence ?? []) presence.add(user);
    }
    const gone = { rooms: without(this.#rooms, rooms), presence: without(this.#presence, presence) };
    const fresh = { rooms: without(rooms, this.#rooms), presence: without(presence, this.#presence) };
    this.#rooms = rooms;
    this.#presence = presence;
    if (gone.rooms.length + gone.presence.length > 0) this.#tell({ type: 'unwatch', watch: gone });
    if (fresh.rooms.length + fresh.presence.length > 0) this.#tell({ type: 'watch', watch: fresh });
  }

  /** A new engine is told everything. */
  again(): void {
    if (this.#rooms.size + this.#presence.size === 0) return;
    this.#tell({ type: 'watch', watch: { rooms: [...this.#rooms], presence: [...this.#presence] } });
  }
}

function without(one: ReadonlySet<string>, other: ReadonlySet<string>): string[] {
  return [...one].filter((id) => !other.has(id));
}
