import { Backoff, upTo, type Random } from './backoff';

/** A token this close to its end, ms, is not shown to a server: it would expire on the way. */
const SLACK_MS = 5_000;
/** Refreshed this long before its end at the latest, ms: room for some failed tries. */
const AHEAD_MS = 60_000;

/** The access token: refreshed before it expires, replaced on a live connection, asked for once at a time. */
export class Token {
  #token: { text: string; expiresAt: number; refreshAt: number } | undefined;
  #asking = false;
  #retryAt: number | undefined;
  readonly #backoff = new Backoff();

  /** The token, while a server would still take it. */
  text(now: number): string | undefined {
    return this.#token && now + SLACK_MS < this.#token.expiresAt ? this.#token.text : undefined;
  }

  /** A server did not take it. */
  rejected(): void {
    this.#token = undefined;
  }

  refreshed(now: number, text: string, livesMs: number, random: Random): void {
    // A short-lived token keeps most of its life; the jitter keeps devices that signed in together apart.
    const ahead = Math.min(AHEAD_MS, Math.floor(livesMs / 4)) + upTo(Math.floor(livesMs / 20), random);
    const expiresAt = now + livesMs;
    this.#token = { text, expiresAt, refreshAt: Math.max(0, expiresAt - ahead) };
    this.#asking = false;
    this.#retryAt = undefined;
    this.#backoff.reset();
  }

  refreshFailed(now: number, hint: number | undefined, random: Random): void {
    this.#asking = false;
    this.#retryAt = now + this.#backoff.nextOr(hint, random);
  }

  /** When a refresh is due; none while one is on its way. */
  due(): number | undefined {
    if (this.#asking) return undefined;
    return this.#retryAt ?? this.#token?.refreshAt ?? 0;
  }

  /** Whether to ask now; notes that it is asked. */
  ask(now: number): boolean {
    const due = this.due();
    const ask = due !== undefined && due <= now;
    if (ask) this.#asking = true;
    return ask;
  }
}
