import { ClientError } from '../error';
import type { Problem } from '../wire/http';
import type { Environment } from './environment';

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `/v1`. Parts that come from outside go through `path`. */
  readonly path: string;
  readonly body?: unknown;
  /** The same key gets the same answer: a write that is repeated is done once. */
  readonly key?: string;
}

/** An answer later than this is none, ms. */
const PATIENCE_MS = 30_000;

/** `/rooms/${id}` with everything escaped. */
export function path(parts: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  return parts.reduce((whole, part, place) => whole + encodeURIComponent(String(values[place - 1])) + part);
}

/** `?a=b&c=d` of those that are there. */
export function query(values: { readonly [name: string]: string | number | undefined }): string {
  const parts = Object.entries(values).filter(([, value]) => value !== undefined);
  return parts.length === 0 ? '' : `?${parts.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&')}`;
}

/** One call of the API. Rejects with `ClientError`, `offline` when there was no answer. */
export async function send<T>(environment: Environment, server: string, call: Call, token: string | undefined): Promise<T> {
  const headers: Record<string, string> = {};
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  if (call.body !== undefined) headers['content-type'] = 'application/json';
  if (call.key !== undefined) headers['idempotency-key'] = call.key;
  const abort = new AbortController();
  const timer = environment.setTimer(() => abort.abort(), PATIENCE_MS);
  try {
    const response = await environment.fetch(`${server}/v1${call.path}`, {
      method: call.method,
      headers,
      credentials: 'same-origin',
      cache: 'no-store',
      signal: abort.signal,
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
    });
    const text = await response.text();
    if (!response.ok) throw problem(response, text);
    return parse<T>(response, text);
  } catch (error) {
    if (error instanceof ClientError) throw error;
    throw ClientError.offline(error instanceof Error ? error.message : undefined);
  } finally {
    environment.clearTimer(timer);
  }
}

/** A captive portal answers everything with its own page: that is no answer of ours. */
function parse<T>(response: Response, text: string): T {
  if (text === '' && response.status === 204) return undefined as T;
  if (!(response.headers.get('content-type') ?? '').includes('json')) throw ClientError.offline('the answer is not of a Klatch server');
  try {
    return JSON.parse(text) as T;
  } catch {
    throw ClientError.offline('the answer is cut off');
  }
}

function problem(response: Response, text: string): ClientError {
  const after = Number(response.headers.get('retry-after'));
  const retryAfterMs = response.headers.has('retry-after') && Number.isFinite(after) ? after * 1_000 : undefined;
  try {
    const { code, detail, fields } = JSON.parse(text) as Problem;
    if (typeof code === 'string') return new ClientError(code, detail ?? '', { status: response.status, fields, retryAfterMs });
  } catch {
    // Something between us and the server answered.
  }
  return new ClientError('offline', `the server answered ${response.status}`, { status: response.status, retryAfterMs });
}
