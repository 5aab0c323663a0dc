import type { Readable } from '../interface';

/** Gathers what changed and tells subscribers once, when the current task's work is done. */
export class Batch {
  readonly #changed = new Set<Cell<unknown>>();
  #planned = false;

  add(cell: Cell<unknown>): void {
    this.#changed.add(cell);
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => this.flush());
  }

  flush(): void {
    this.#planned = false;
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const cell of changed) cell.notify();
  }
}

/** A value made anew only after something it depends on changed, and only when somebody asks. */
export class Cell<T> implements Readable<T> {
  readonly #batch: Batch;
  readonly #make: (last: T | undefined) => T;
  readonly #listeners = new Set<() => void>();
  #value: T | undefined;
  #stale = true;
  /** Called when the first subscriber comes, and when the last one goes. */
  onFirst: (() => void) | undefined;
  onLast: (() => void) | undefined;

  constructor(batch: Batch, make: (last: T | undefined) => T) {
    this.#batch = batch;
    this.#make = make;
  }

  readonly get = (): T => {
    if (this.#stale) {
      this.#stale = false;
      this.#value = this.#make(this.#value);
    }
    return this.#value as T;
  };

  readonly subscribe = (listener: () => void): (() => void) => {
    // The same function may subscribe twice, and ends each by itself.
    const own = (): void => listener();
    this.#listeners.add(own);
    if (this.#listeners.size === 1) this.onFirst?.();
    return () => {
      if (this.#listeners.delete(own) && this.#listeners.size === 0) this.onLast?.();
    };
  };

  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  /** What it depends on has changed. */
  touch(): void {
    this.#stale = true;
    if (this.#listeners.size > 0) this.#batch.add(this as Cell<unknown>);
  }

  notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Cells by key, made when first asked for. */
export class Cells<T> {
  readonly #cells = new Map<string, Cell<T>>();
  readonly #make: (key: string) => Cell<T>;

  constructor(make: (key: string) => Cell<T>) {
    this.#make = make;
  }

  of(key: string): Cell<T> {
    let cell = this.#cells.get(key);
    if (!cell) this.#cells.set(key, (cell = this.#make(key)));
    return cell;
  }

  touch(key: string): void {
    this.#cells.get(key)?.touch();
  }

  touchAll(): void {
    for (const cell of this.#cells.values()) cell.touch();
  }

  watched(): string[] {
    return [...this.#cells].filter(([, cell]) => cell.isWatched).map(([key]) => key);
  }
}
