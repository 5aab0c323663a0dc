/** Before `welcome` says otherwise, ms. */
const DEFAULT_MS = 30_000;
/** Heartbeats that may be missed (wire contract). */
const SILENT_HEARTBEATS = 2;
/** No server is believed that asks for more than this, ms: a wrong setting would cut every connection. */
const SHORTEST_MS = 1_000;

/** Watches the silence of one connection. */
export class Heartbeat {
  #every = DEFAULT_MS;
  #heard = 0;

  start(now: number, everyMs?: number): void {
    this.#every = Math.max(everyMs ?? DEFAULT_MS, SHORTEST_MS);
    this.#heard = now;
  }

  heard(now: number): void {
    this.#heard = now;
  }

  /** From then on the connection counts as dead. */
  deadAt(): number {
    return this.#heard + this.#every * SILENT_HEARTBEATS;
  }
}
