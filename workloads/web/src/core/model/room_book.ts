/** The rooms one is in: what is known of each, its line, and the list of all. */
import type { RoomList, RoomRow } from '../interface';
import type { Entry } from '../wire/entry';
import type { RoomOut } from '../wire/http';
import { Cell, Cells, type Batch } from './cell';
import { joinListed, rowOf, withAppended, type RoomFacts } from './room_facts';

/** Entries kept of a room whose line is still to come: it takes one call. The last ones tell the unread count and the last message. */
const EARLY = 256;

/** What of a room's line is known elsewhere. */
export interface Beside {
  readonly me: string | undefined;
  readonly hasDraft: boolean;
  readonly failed: number;
}

export class RoomBook {
  readonly facts = new Map<string, RoomFacts>();
  /** Rooms whose unread count only the server can tell. */
  readonly unclear = new Set<string>();
  readonly #beside: (room: string) => Beside;
  readonly #rows = new Map<string, RoomRow>();
  /** Entries of rooms that are not listed yet: the line that comes may be older than they are. */
  readonly #early = new Map<string, readonly Entry[]>();
  #loaded = false;
  readonly list: Cell<RoomList>;
  readonly room: Cells<RoomRow | undefined>;

  constructor(batch: Batch, beside: (room: string) => Beside) {
    this.#beside = beside;
    this.list = new Cell(batch, () => this.#list());
    this.room = new Cells((room) => new Cell(batch, () => this.#row(room)));
  }

  /** Whether the server's list was read to its end. */
  get isLoaded(): boolean {
    return this.#loaded;
  }

  /** Everything anew, as it was kept. */
  reset(all: readonly RoomFacts[], loaded: boolean): void {
    this.facts.clear();
    for (const facts of all) this.facts.set(facts.id, facts);
    this.#rows.clear();
    this.#early.clear();
    this.#loaded = loaded;
    this.list.touch();
    this.room.touchAll();
  }

  /** Lines of the server's list; `all` of them: other rooms are gone. */
  takeListed(rooms: readonly RoomOut[], all: boolean): void {
    if (all) {
      this.#loaded = true;
      const listed = new Set(rooms.map((room) => room.id));
      for (const room of [...this.facts.keys()]) if (!listed.has(room)) this.drop(room);
    }
    for (const out of rooms) {
      this.unclear.delete(out.id);
      const facts = joinListed(this.facts.get(out.id), out);
      this.facts.set(out.id, withAppended(facts, this.#early.get(out.id) ?? [], this.#beside(out.id).me));
      this.#early.delete(out.id);
      this.changed(out.id);
    }
    this.list.touch();
  }

  takeAppended(room: string, entries: readonly Entry[], me: string | undefined): void {
    if (!this.facts.has(room)) this.#early.set(room, [...(this.#early.get(room) ?? []), ...entries].slice(-EARLY));
    this.change(room, (facts) => withAppended(facts, entries, me));
  }

  drop(room: string): void {
    this.facts.delete(room);
    this.#early.delete(room);
    this.changed(room);
  }

  change(room: string, change: (facts: RoomFacts) => RoomFacts): void {
    const facts = this.facts.get(room);
    if (!facts) return;
    const now = change(facts);
    if (now === facts) return;
    this.facts.set(room, now);
    this.changed(room);
  }

  /** Something of the room's line is another now. */
  changed(room: string): void {
    this.#rows.delete(room);
    this.room.touch(room);
    this.list.touch();
  }

  #row(room: string): RoomRow | undefined {
    const made = this.#rows.get(room);
    const facts = this.facts.get(room);
    if (made || !facts) return made;
    const row = rowOf(facts, this.#beside(room));
    this.#rows.set(room, row);
    return row;
  }

  #list(): RoomList {
    const all: RoomRow[] = [];
    for (const room of this.facts.keys()) {
      const row = this.#row(room);
      if (row) all.push(row);
    }
    all.sort((one, other) => other.lastAt - one.lastAt || (one.id < other.id ? -1 : 1));
    const loud = all.filter((row) => !row.hidden && row.notify !== 'none');
    return {
      rows: all.filter((row) => !row.hidden),
      hidden: all.filter((row) => row.hidden),
      unreadRooms: loud.filter((row) => row.unread > 0 || row.markedUnread).length,
      mentions: loud.reduce((sum, row) => sum + row.mentions, 0),
      loaded: this.#loaded,
    };
  }
}
