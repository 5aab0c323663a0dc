import type { Receipts } from '../interface';
import type { Position } from '../wire/entry';

interface Mark {
  generation: number;
  read: number;
  delivered: number;
}

/** How far one member has come, as it is kept and as other tabs are told. */
export interface Receipt {
  readonly user: string;
  readonly read: Position;
  readonly delivered: Position;
}

export const NO_RECEIPTS: Receipts = { deliveredByAll: 0, readByAll: 0, people: [] };

/** How far the other members of one room have come; forward only. */
export class RoomReceipts {
  readonly #marks = new Map<string, Mark>();

  take(user: string, read: Position | undefined, delivered: Position | undefined): void {
    const generation = Math.max(read?.generation ?? 0, delivered?.generation ?? 0);
    let mark = this.#marks.get(user);
    if (!mark || generation > mark.generation) this.#marks.set(user, (mark = { generation, read: 0, delivered: 0 }));
    if (generation < mark.generation) return;
    mark.read = Math.max(mark.read, read?.seq ?? 0);
    // Who has read has received.
    mark.delivered = Math.max(mark.delivered, delivered?.seq ?? 0, mark.read);
  }

  forget(user: string): void {
    this.#marks.delete(user);
  }

  all(): Receipt[] {
    return [...this.#marks].map(([user, { generation, read, delivered }]) => ({
      user,
      read: { generation, seq: read },
      delivered: { generation, seq: delivered },
    }));
  }

  /** `others`: how many there are, so that one nobody has heard of is not taken for one who has read. */
  view(others: number): Receipts {
    const people = [...this.#marks].map(([user, { read, delivered }]) => ({ user, read, delivered }));
    if (people.length === 0) return NO_RECEIPTS;
    const complete = people.length >= others;
    return {
      deliveredByAll: complete ? Math.min(...people.map((one) => one.delivered)) : 0,
      readByAll: complete ? Math.min(...people.map((one) => one.read)) : 0,
      people,
    };
  }
}
