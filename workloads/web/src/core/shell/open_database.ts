import type { Warning } from '../interface';
import type { Database, Kept, Range, Writes } from './database';
import { BlockedError, openIndexedDatabase } from './indexed_database';
import { MemoryDatabase } from './memory_database';
import type { Environment } from './environment';

export type StorageWarning = Warning['code'];

/**
 * The browser's database if there is one, else memory, and memory from the moment the browser's fails. Whatever happens is
 * told once; nothing here rejects for want of space.
 */
export class SafeDatabase implements Database {
  #inner: Database;
  readonly #warn: (code: StorageWarning) => void;

  constructor(inner: Database, warn: (code: StorageWarning) => void) {
    this.#inner = inner;
    this.#warn = warn;
  }

  static async open(environment: Environment, warn: (code: StorageWarning) => void): Promise<SafeDatabase> {
    if (!environment.indexedDB || !environment.locks) {
      // Without locks two tabs would write the same outbox.
      warn('storage_unavailable');
      return new SafeDatabase(new MemoryDatabase(), warn);
    }
    let safe: SafeDatabase | undefined;
    try {
      const inner = await openIndexedDatabase(environment.indexedDB, (trouble) => safe?.fail(trouble));
      safe = new SafeDatabase(inner, warn);
    } catch (error) {
      warn(error instanceof BlockedError ? 'storage_blocked' : 'storage_unavailable');
      safe = new SafeDatabase(new MemoryDatabase(), warn);
    }
    return safe;
  }

  get isKept(): boolean {
    return this.#inner.isKept;
  }

  get transactions(): number {
    return this.#inner.transactions;
  }

  load(): Promise<Kept> {
    return this.#inner.load();
  }

  async entries(room: string, generation: number, range: Range): Promise<import('../wire/entry').Entry[]> {
    try {
      return await this.#inner.entries(room, generation, range);
    } catch {
      // The server has them.
      return [];
    }
  }

  async write(writes: Writes): Promise<void> {
    if (!this.isKept) return this.#inner.write(writes);
    try {
      await this.#inner.write(writes);
    } catch (error) {
      await this.#writeWithSpace(writes, isFull(error));
    }
  }

  /** Older rows can be loaded again, messages to send cannot: they go first. */
  async #writeWithSpace(writes: Writes, full: boolean): Promise<void> {
    try {
      if (full) await this.#inner.shrink();
      await this.#inner.write(writes);
    } catch {
      this.fail(full ? 'storage_full' : 'storage_lost');
    }
  }

  async wipe(): Promise<void> {
    await this.#inner.wipe();
  }

  shrink(): Promise<void> {
    return this.#inner.shrink();
  }

  /** From now on nothing more is kept. What is on disk stays as it was: consistent, only old. */
  fail(code: StorageWarning): void {
    if (!this.isKept) return;
    const old = this.#inner;
    this.#inner = new MemoryDatabase();
    if (code !== 'storage_full') old.close();
    this.#warn(code);
  }

  close(): void {
    this.#inner.close();
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && error.name === 'QuotaExceededError';
}
