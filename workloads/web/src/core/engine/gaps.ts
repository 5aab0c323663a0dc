import { Backoff, type Random } from './backoff';
import { GAP_WAIT_MS } from './settings';

interface Gap {
  due: number;
  asking: number | undefined;
  readonly backoff: Backoff;
}

/** Rooms whose log is known to go on beyond what is held: after a short wait what is missing is asked for. */
export class Gaps {
  readonly #rooms = new Map<string, Gap>();

  /** A room is behind. What is merely late gets a moment. */
  noticed(room: string, now: number): void {
    if (!this.#rooms.has(room)) this.#rooms.set(room, { due: now + GAP_WAIT_MS, asking: undefined, backoff: new Backoff() });
  }

  closed(room: string): void {
    this.#rooms.delete(room);
  }

  /** Rooms to ask for now, the lowest ids first. */
  dueRooms(now: number): string[] {
    const due: string[] = [];
    for (const [room, gap] of this.#rooms) if (gap.asking === undefined && gap.due <= now) due.push(room);
    return due.sort();
  }

  due(): number | undefined {
    let least: number | undefined;
    for (const gap of this.#rooms.values()) {
      if (gap.asking === undefined && (least === undefined || gap.due < least)) least = gap.due;
    }
    return least;
  }

  asked(room: string, request: number): void {
    const gap = this.#rooms.get(room);
    if (gap) gap.asking = request;
  }

  /** An answer came, or none will. Without progress the next question waits longer and longer. */
  answered(room: string, request: number, progress: boolean, hint: number | undefined, now: number, random: Random): void {
    const gap = this.#rooms.get(room);
    if (gap?.asking !== request) return;
    gap.asking = undefined;
    if (progress) {
      gap.backoff.reset();
      gap.due = now;
    } else {
      gap.due = now + gap.backoff.nextOr(hint, random);
    }
  }

  /** The connection is gone: the sync after the next one sees everything. */
  clear(): void {
    this.#rooms.clear();
  }
}
