/** A browser profile for tests: tabs share storage, locks and channels; the network is whatever the test hands in. */
import 'fake-indexeddb/auto';
import { IDBFactory } from 'fake-indexeddb';
import { openClient } from '../../src/core';
import type { Client } from '../../src/core';
import { uuid7, type Environment } from '../../src/core/shell/environment';

type Sign = 'online' | 'offline' | 'visible' | 'hidden' | 'leaving';

export interface Network {
  readonly fetch: typeof fetch;
  readonly socket: (url: string, protocol: string) => WebSocket;
}

/** Locks as the browser has them: one holder, the others wait in line. */
class Locks {
  #tail = Promise.resolve();

  readonly request = ((_name: string, run: () => Promise<unknown>) => {
    const done = this.#tail.then(() => run());
    this.#tail = done.then(() => undefined, () => undefined);
    return done;
  }) as unknown as LockManager['request'];
}

class Channel {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  readonly #others: Set<Channel>;

  constructor(others: Set<Channel>) {
    this.#others = others;
    others.add(this);
  }

  postMessage(message: unknown): void {
    for (const other of this.#others) {
      if (other === this) continue;
      const data = structuredClone(message);
      queueMicrotask(() => this.#others.has(other) && other.onmessage?.({ data }));
    }
  }

  close(): void {
    this.#others.delete(this);
  }
}

export class Profile {
  readonly #channels = new Set<Channel>();
  #locks = new Locks();
  readonly #signs = new Set<(sign: Sign) => void>();
  network: Network;
  indexedDB: IDBFactory | undefined = new IDBFactory();
  isOnline = true;
  isVisible = true;
  /** What this device's clock adds to the true time, ms. */
  clockError = 0;
  /** How much too early timers fire, ms: browsers round. */
  timersEarly = 0;
  /** An early timer fires a millisecond before its time by this device's clock, which moves on once it was read twice. */
  clockMovesWhenRead = false;
  #readsUntilItMoves = 0;
  #ids = 0;
  readonly #sockets = new Set<WebSocket>();

  constructor(network: Network) {
    this.network = network;
  }

  environment(): Environment {
    const now = (): number => {
      const at = Date.now() + this.clockError;
      if (this.#readsUntilItMoves > 0 && (this.#readsUntilItMoves -= 1) === 0) this.clockError += 1;
      return at;
    };
    return {
      fetch: (input, init) => (this.isOnline ? this.network.fetch(input, init) : Promise.reject(new TypeError('no network'))),
      socket: (url, protocol) => {
        if (!this.isOnline) throw new Error('no network');
        const socket = this.network.socket(url, protocol);
        this.#sockets.add(socket);
        return socket;
      },
      indexedDB: this.indexedDB as unknown as globalThis.IDBFactory | undefined,
      locks: this.#locks,
      channel: () => new Channel(this.#channels) as unknown as BroadcastChannel,
      now,
      random: () => 0.5,
      uuid: () => {
        this.#ids += 1;
        const id = this.#ids;
        return uuid7(now(), (bytes) => new DataView(bytes.buffer).setUint32(12, id));
      },
      setTimer: (run, ms) => {
        const due = Date.now() + this.clockError + ms;
        const fire = (): void => {
          const early = due - Date.now() - this.clockError;
          if (this.clockMovesWhenRead && early > 0) {
            this.clockError += early - 1;
            this.#readsUntilItMoves = 2;
          }
          run();
        };
        return setTimeout(fire, Math.max(0, ms - this.timersEarly));
      },
      clearTimer: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
      isOnline: () => this.isOnline,
      onSigns: (listener) => {
        this.#signs.add(listener);
        return () => this.#signs.delete(listener);
      },
      isVisible: () => this.isVisible,
    };
  }

  open(server = 'http://klatch.test'): Promise<Client> {
    return openClient({ server, environment: this.environment() });
  }

  sign(sign: Sign): void {
    for (const tell of [...this.#signs]) tell(sign);
  }

  goOffline(): void {
    this.isOnline = false;
    for (const socket of this.#sockets) socket.close();
    this.#sockets.clear();
    this.sign('offline');
  }

  goOnline(): void {
    this.isOnline = true;
    this.sign('online');
  }

  /** Every tab is gone at once, without a word: what is in storage is all there is. */
  crash(): void {
    this.#channels.clear();
    this.#signs.clear();
    this.#locks = new Locks();
  }
}

/** Waits until the question is answered with something. Turns of the event loop, no clock. */
export async function until<T>(what: string, question: () => T | undefined | false): Promise<T> {
  for (let turn = 0; turn < 20_000; turn += 1) {
    const answer = question();
    if (answer !== undefined && answer !== false) return answer;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  throw new Error(`never came: ${what}`);
}

export function rowsOf(client: Client, room: string): string[] {
  const timeline = client.timeline(room).get();
  const rows: string[] = [];
  for (let index = 0; index < timeline.length; index += 1) {
    const row = timeline.row(index);
    if (row?.type === 'message') rows.push(row.text);
    if (row?.type === 'gap') rows.push('(gap)');
  }
  return rows;
}
