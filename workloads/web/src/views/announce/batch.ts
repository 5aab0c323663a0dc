/** At most one announcement in this time, ms: a screen reader must be able to finish it. */
export const ANNOUNCE_EVERY_MS = 2_000;

export interface Timers {
  readonly now: () => number;
  readonly after: (ms: number, act: () => void) => () => void;
}

/** Collects what is to be said and says it in one piece: alone as it is, several as their number. */
export class AnnouncementBatch {
  private waiting: string[] = [];
  private lastAt = -Infinity;
  private cancel: (() => void) | undefined;

  constructor(
    private readonly speak: (text: string) => void,
    private readonly many: (count: number) => string,
    private readonly timers: Timers,
  ) {}

  add(text: string): void {
    this.waiting.push(text);
    if (this.cancel) return;
    const wait = this.lastAt + ANNOUNCE_EVERY_MS - this.timers.now();
    if (wait <= 0) this.flush();
    else this.cancel = this.timers.after(wait, () => this.flush());
  }

  /** Another room is shown: what waits is of no interest any more. */
  drop(): void {
    this.waiting = [];
    this.cancel?.();
    this.cancel = undefined;
  }

  private flush(): void {
    this.cancel = undefined;
    const [first, ...more] = this.waiting;
    if (first === undefined) return;
    this.waiting = [];
    this.lastAt = this.timers.now();
    this.speak(more.length === 0 ? first : this.many(more.length + 1));
  }
}
