/** Messages between the tabs of one browser profile: news of the leader, questions of the others. */
import { ClientError } from '../error';
import type { News, State } from '../model/news';
import type { Backend } from './backend';

/** Both names belong to one server's page: an origin. */
export const CHANNEL = 'klatch';
export const LEADER_LOCK = 'klatch-leader';

export type Method = keyof Backend;

export interface Fault {
  readonly code: string;
  readonly detail: string;
  readonly status?: number | undefined;
  readonly fields?: ClientError['fields'];
  readonly retryAfterMs?: number | undefined;
}

export type TabMessage =
  /** A tab has come, or has a new leader: it wants the state. */
  | { readonly type: 'hello'; readonly from: string }
  | { readonly type: 'bye'; readonly from: string }
  /** This tab leads from now on. */
  | { readonly type: 'lead'; readonly from: string }
  | { readonly type: 'state'; readonly to: string; readonly state: State }
  | { readonly type: 'news'; readonly news: readonly News[] }
  | { readonly type: 'ask'; readonly from: string; readonly id: string; readonly method: Method; readonly args: readonly unknown[] }
  | { readonly type: 'answer'; readonly to: string; readonly id: string; readonly result?: unknown; readonly fault?: Fault }
  /** Rooms on screen in that tab. */
  | { readonly type: 'views'; readonly from: string; readonly rooms: readonly string[] }
  | { readonly type: 'read_elsewhere'; readonly room: string };

export function faultOf(error: unknown): Fault {
  if (!(error instanceof ClientError)) return { code: 'internal', detail: String(error) };
  const { code, detail, status, fields, retryAfterMs } = error;
  return { code, detail, status, fields, retryAfterMs };
}

export function errorOf(fault: Fault): ClientError {
  return new ClientError(fault.code, fault.detail, { status: fault.status, fields: fault.fields, retryAfterMs: fault.retryAfterMs });
}

interface Asked {
  readonly method: Method;
  readonly args: readonly unknown[];
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: ClientError) => void;
}

/** Questions of this tab that are not answered yet. A new leader is asked again: every question can be repeated. */
export class Questions {
  readonly #asked = new Map<string, Asked>();
  readonly #uuid: () => string;
  readonly #put: (id: string, method: Method, args: readonly unknown[]) => void;

  constructor(uuid: () => string, put: (id: string, method: Method, args: readonly unknown[]) => void) {
    this.#uuid = uuid;
    this.#put = put;
  }

  ask(method: Method, args: readonly unknown[]): Promise<unknown> {
    const id = this.#uuid();
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { method, args, resolve, reject });
      this.#put(id, method, args);
    });
  }

  answered(id: string, result: unknown, fault: Fault | undefined): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (fault) asked?.reject(errorOf(fault));
    else asked?.resolve(result);
  }

  again(): void {
    for (const [id, { method, args }] of this.#asked) this.#put(id, method, args);
  }
}
