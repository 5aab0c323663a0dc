import { ClientError } from '../error';
import type { SignedIn } from '../wire/http';
import type { Environment } from './environment';
import { send, type Call } from './http';

/** A call waits this long, ms, for an access token that is being fetched. */
const TOKEN_WAIT_MS = 10_000;
const NOT_TAKEN = new Set(['token_expired', 'unauthenticated']);

/** HTTP with the access token, which lives in memory only; the refresh token is a cookie no script sees. */
export class Authority {
  readonly #environment: Environment;
  readonly #server: string;
  readonly #reject: () => void;
  #token: string | undefined;
  #waiting: ((token: string | undefined) => void)[] = [];
  /** The key of a refresh whose answer may have been lost: the same one gets the same answer. */
  #refreshKey: string | undefined;

  /** `reject`: the token is not taken, another one is to be fetched. */
  constructor(environment: Environment, server: string, reject: () => void) {
    this.#environment = environment;
    this.#server = server;
    this.#reject = reject;
  }

  set(token: string | undefined): void {
    this.#token = token;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const tell of waiting) tell(token);
  }

  /** Without a token: sign-up, sign-in. */
  open<T>(call: Call): Promise<T> {
    return send<T>(this.#environment, this.#server, call, undefined);
  }

  /** Trades the cookie for an access token. */
  async refresh(): Promise<SignedIn> {
    this.#refreshKey ??= this.#environment.uuid();
    const key = this.#refreshKey;
    try {
      const answer = await this.open<SignedIn>({ method: 'POST', path: '/sessions/refresh', body: {}, key });
      this.#refreshKey = undefined;
      return answer;
    } catch (error) {
      if (error instanceof ClientError && error.code !== 'offline') this.#refreshKey = undefined;
      throw error;
    }
  }

  async call<T>(call: Call): Promise<T> {
    const token = this.#token ?? (await this.#next());
    try {
      return await send<T>(this.#environment, this.#server, call, token);
    } catch (error) {
      if (!(error instanceof ClientError) || !NOT_TAKEN.has(error.code)) throw error;
      if (this.#token === token) this.#token = undefined;
      return send<T>(this.#environment, this.#server, call, this.#token ?? (await this.#next()));
    }
  }

  #next(): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = this.#environment.setTimer(() => tell(undefined), TOKEN_WAIT_MS);
      const tell = (token: string | undefined): void => {
        this.#environment.clearTimer(timer);
        this.#waiting = this.#waiting.filter((other) => other !== tell);
        if (token === undefined) reject(ClientError.offline());
        else resolve(token);
      };
      this.#waiting.push(tell);
      this.#reject();
    });
  }
}
