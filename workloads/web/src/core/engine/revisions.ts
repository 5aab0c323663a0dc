import { isEmpty, needsTarget, type Entry } from '../wire/entry';
import type { Rows } from './rows';

/**
 * Edits, deletes and reactions: entries that change another row of the same log.
 *
 * Which entries change which row is indexed, also for rows not held: a row loaded later may have been read before a change
 * that is held already. A row that is newer than a change (its `changed_seq` says so) is left as it is.
 */
export class Revisions {
  readonly #viewer: string | undefined;
  /** Seqs of the held entries that change a row, ascending, by the row's seq. */
  readonly #byTarget = new Map<number, number[]>();
  /** Who has put which emoji on a held row, as of the end of the run. */
  readonly #reactors = new Map<number, Map<string, Set<string>>>();

  constructor(viewer: string | undefined) {
    this.#viewer = viewer;
  }

  clear(): void {
    this.#byTarget.clear();
    this.#reactors.clear();
  }

  /** `entry` was just put at the end of `rows`. */
  append(entry: Entry, rows: Rows, updated: Set<number>): void {
    const target = changedRow(entry);
    if (target === undefined) return;
    const seq = entry.position.seq;
    const changes = this.#byTarget.get(target);
    if (changes) changes.push(seq);
    else this.#byTarget.set(target, [seq]);
    if (entry.kind === 'delete') this.#emptyEdits(target, rows, updated);
    const row = rows.get(target);
    if (!row) return;
    this.#react(entry, target);
    const now = this.#withReactions(apply(entry, row), rows.head);
    if (now !== row) {
      rows.set(now);
      updated.add(target);
    }
  }

  /** `entry` was put before the rows held; what it changes follows by `rebuild`. */
  noteOlder(entry: Entry): void {
    const target = changedRow(entry);
    if (target === undefined) return;
    const changes = this.#byTarget.get(target);
    if (changes) changes.unshift(entry.position.seq);
    else this.#byTarget.set(target, [entry.position.seq]);
  }

  /** Applies again everything held that changes `target`. */
  rebuild(target: number, rows: Rows, updated: Set<number>): void {
    const changes: Entry[] = [];
    for (const seq of this.#byTarget.get(target) ?? []) {
      const change = rows.get(seq);
      if (change) changes.push(change);
    }
    if (changes.some((change) => change.kind === 'delete')) this.#emptyEdits(target, rows, updated);
    const row = rows.get(target);
    if (!row) return;
    this.#reactors.delete(target);
    let now = row;
    for (const change of changes) {
      now = apply(change, now);
      this.#react(change, target);
    }
    now = this.#withReactions(now, rows.head);
    if (now !== row) {
      rows.set(now);
      updated.add(target);
    }
  }

  /** The oldest row was let go. */
  forget(gone: Entry): void {
    const seq = gone.position.seq;
    this.#reactors.delete(seq);
    const target = changedRow(gone);
    if (target === undefined) return;
    const left = (this.#byTarget.get(target) ?? []).filter((change) => change !== seq);
    if (left.length > 0) this.#byTarget.set(target, left);
    else this.#byTarget.delete(target);
  }

  /** A deleted text is gone from its edits too. */
  #emptyEdits(target: number, rows: Rows, updated: Set<number>): void {
    for (const seq of this.#byTarget.get(target) ?? []) {
      const edit = rows.get(seq);
      if (edit?.kind !== 'edit' || isEmpty(edit.content)) continue;
      rows.set({ ...edit, content: {} });
      updated.add(seq);
    }
  }

  #react(entry: Entry, target: number): void {
    const { emoji, on } = entry.content;
    if (entry.kind !== 'reaction' || typeof emoji !== 'string' || typeof on !== 'boolean') return;
    let reactors = this.#reactors.get(target);
    if (!reactors) this.#reactors.set(target, (reactors = new Map()));
    const users = reactors.get(emoji);
    if (on) {
      if (users) users.add(entry.sender.user);
      else reactors.set(emoji, new Set([entry.sender.user]));
    } else if (users) {
      users.delete(entry.sender.user);
      if (users.size === 0) reactors.delete(emoji);
    }
  }

  /** The log says who reacted, unless the row was read later than the log is held. */
  #withReactions(row: Entry, head: number): Entry {
    const reactors = this.#reactors.get(row.position.seq);
    if (!reactors || (row.changed_seq ?? 0) > head) return row;
    const viewer = this.#viewer;
    const reactions = [...reactors]
      .sort(([one], [other]) => byCodePoint(one, other))
      .map(([emoji, users]) => ({ emoji, count: users.size, ...(viewer !== undefined && { mine: users.has(viewer) }) }));
    if (JSON.stringify(reactions) === JSON.stringify(row.reactions ?? [])) return row;
    if (reactions.length > 0) return { ...row, reactions };
    const { reactions: _gone, ...bare } = row;
    return bare;
  }
}

/** The row an entry changes. */
function changedRow(entry: Entry): number | undefined {
  return needsTarget(entry.kind) ? entry.target : undefined;
}

/** A row brought up to date with one change, unless it is already newer. */
function apply(change: Entry, row: Entry): Entry {
  const seq = change.position.seq;
  if ((row.changed_seq ?? 0) >= seq) return row;
  const now = { ...row, changed_seq: seq };
  if (change.kind === 'delete') return { ...now, content: {}, deleted: true };
  if (change.kind !== 'edit') return now;
  // An emptied edit was read after the delete of its target, which is still to come.
  return { ...now, edited_at: change.at, content: isEmpty(change.content) ? row.content : change.content };
}

/** The order every client shows, whatever its language: UTF-16 would put some emoji elsewhere than other clients do. */
function byCodePoint(one: string, other: string): number {
  const [left, right] = [[...one], [...other]];
  for (let place = 0; place < Math.min(left.length, right.length); place += 1) {
    const difference = (left[place]?.codePointAt(0) ?? 0) - (right[place]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
