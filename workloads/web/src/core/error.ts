/** Why an action was not done. `code` is stable, for choosing words; `detail` is the server's English. */
export class ClientError extends Error {
  readonly code: string;
  readonly detail: string;
  readonly status: number | undefined;
  readonly fields: readonly { readonly field: string; readonly detail: string }[];
  readonly retryAfterMs: number | undefined;

  constructor(
    code: string,
    detail: string,
    more: {
      status?: number | undefined;
      fields?: readonly { readonly field: string; readonly detail: string }[] | undefined;
      retryAfterMs?: number | undefined;
    } = {},
  ) {
    super(`${code}: ${detail}`);
    this.name = 'ClientError';
    this.code = code;
    this.detail = detail;
    this.status = more.status;
    this.fields = more.fields ?? [];
    this.retryAfterMs = more.retryAfterMs;
  }

  /** The server could not be asked: no network, or it did not answer. */
  static offline(detail = 'the server cannot be reached'): ClientError {
    return new ClientError('offline', detail);
  }
}
