/** What outlives the tab. */
import type { SavedMessage } from '../engine/events';
import type { Draft, Settings } from '../interface';
import type { Receipt } from '../model/receipts';
import type { RoomFacts } from '../model/room_facts';
import type { Entry, Position } from '../wire/entry';
import type { Me, Profile } from '../wire/http';

export interface KeptSession {
  readonly session: string;
  readonly me: Me;
}

/** How far a log is held, and what is known of its room. */
export interface KeptRoom {
  readonly room: string;
  readonly position: Position;
  readonly facts: RoomFacts | undefined;
  /** How far its other members had come; absent in what older versions wrote. */
  readonly receipts?: readonly Receipt[];
}

export type KeptMessage = SavedMessage & { readonly order: number; readonly said_at: number };

export interface Kept {
  readonly session: KeptSession | undefined;
  readonly inbox: Position | undefined;
  readonly listLoaded: boolean;
  readonly rooms: readonly KeptRoom[];
  readonly outbox: readonly KeptMessage[];
  readonly drafts: readonly (readonly [string, Draft])[];
  /** Whose messages are shown by name without a network. */
  readonly profiles: readonly Profile[];
  readonly settings: Settings | undefined;
  /** The user signed out, and the server was not told yet: the cookie may still work. */
  readonly ending: boolean;
}

/** Profiles that are kept: as many as the page holds. With more, all are dropped at the next start and learned anew. */
export const KEPT_PROFILES = 5_000;

/** What one transaction writes: entries with the cursor that counts them and the outbox they settle, or none of it. */
export interface Writes {
  readonly session?: KeptSession;
  readonly inbox?: Position;
  readonly listLoaded?: boolean;
  readonly rooms?: readonly KeptRoom[];
  /** Rooms of which everything is dropped, before anything is written. */
  readonly dropped?: readonly string[];
  readonly entries?: readonly (readonly [string, Entry])[];
  readonly outbox?: { readonly put: readonly KeptMessage[]; readonly gone: readonly string[] };
  readonly drafts?: readonly (readonly [string, Draft | undefined])[];
  readonly profiles?: readonly Profile[];
  readonly settings?: Settings;
  readonly ending?: boolean;
}

/** Rows below, above this seq (exclusive). */
export interface Range {
  readonly before?: number;
  readonly after?: number;
  readonly limit: number;
}

export interface Database {
  /** False: nothing outlives the tab. */
  readonly isKept: boolean;
  /** Write transactions so far, for the budget. */
  readonly transactions: number;
  load(): Promise<Kept>;
  /** Entries of this generation next to the edge asked for, dense up to it, in order. */
  entries(room: string, generation: number, range: Range): Promise<Entry[]>;
  /** Begun when it is called: the page may be gone before it ends. Writes take effect in the order they were begun. */
  write(writes: Writes): Promise<void>;
  /** Everything but look and language. */
  wipe(): Promise<void>;
  /** Lets go the older half of each room's entries, so that newer ones have space. */
  shrink(): Promise<void>;
  close(): void;
}

/** The dense end of entries that stand next to an edge: `before` counts down from it, `after` up. */
export function denseNextTo(entries: readonly Entry[], generation: number, { before, after }: Range): Entry[] {
  const own = entries.filter((entry) => entry.position.generation === generation);
  if (after !== undefined) {
    let expected = after + 1;
    return own.filter((entry) => entry.position.seq === expected && (expected += 1) > 0);
  }
  const dense: Entry[] = [];
  let expected = before === undefined ? own.at(-1)?.position.seq : before - 1;
  for (const entry of own.reverse()) {
    if (entry.position.seq !== expected) break;
    dense.push(entry);
    expected -= 1;
  }
  return dense.reverse();
}
