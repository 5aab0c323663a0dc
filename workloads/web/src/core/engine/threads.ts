import { countsAsUnread, type Entry } from '../wire/entry';

/** Which held entries answer in which thread: what a thread's first message says of it is read from here. */
export class Threads {
  /** Seqs of the answers, ascending, by the seq of the thread's first message. */
  readonly #answers = new Map<number, number[]>();

  clear(): void {
    this.#answers.clear();
  }

  /** Takes an entry from wherever it comes; twice is once. Answers the thread's root if it is an answer. */
  note(entry: Entry): number | undefined {
    const root = rootOf(entry);
    if (root === undefined) return undefined;
    const { seq } = entry.position;
    const answers = this.#answers.get(root);
    if (!answers) this.#answers.set(root, [seq]);
    else insert(answers, seq);
    return root;
  }

  has(root: number): boolean {
    return this.#answers.has(root);
  }

  /** All answers held, oldest first; `find` gives a row as it is now. */
  all(root: number, find: (seq: number) => Entry | undefined): Entry[] {
    return (this.#answers.get(root) ?? []).map(find).filter((entry) => entry !== undefined);
  }

  /** Those that count: a deleted one does not. */
  answers(root: number, find: (seq: number) => Entry | undefined): Entry[] {
    return this.all(root, find).filter((entry) => !entry.deleted);
  }
}

/** The thread an entry answers in: its first message does not answer itself, and changes are no answers. */
export function rootOf(entry: Entry): number | undefined {
  const { thread, kind, position } = entry;
  return thread === undefined || thread === position.seq || !countsAsUnread(kind) ? undefined : thread;
}

function insert(seqs: number[], seq: number): void {
  let place = seqs.length;
  while (place > 0 && (seqs[place - 1] as number) > seq) place -= 1;
  if (seqs[place - 1] !== seq) seqs.splice(place, 0, seq);
}
