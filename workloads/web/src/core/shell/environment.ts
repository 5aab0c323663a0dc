/** What the shell takes from the browser; tests hand in their own. */
export interface Environment {
  readonly fetch: typeof fetch;
  readonly socket: (url: string, protocol: string) => WebSocket;
  readonly indexedDB: IDBFactory | undefined;
  readonly locks: Pick<LockManager, 'request'> | undefined;
  readonly channel: (name: string) => BroadcastChannel | undefined;
  /** This device's clock, ms since 1970. */
  readonly now: () => number;
  readonly random: () => number;
  readonly uuid: () => string;
  readonly setTimer: (run: () => void, ms: number) => unknown;
  readonly clearTimer: (timer: unknown) => void;
  readonly isOnline: () => boolean;
  /** Calls back when the network comes or goes, when the page is looked at again, and when it goes away. */
  readonly onSigns: (listener: (sign: 'online' | 'offline' | 'visible' | 'hidden' | 'leaving') => void) => () => void;
  /** Whether somebody may be looking at this page. */
  readonly isVisible: () => boolean;
}

/** The browser's own. */
export function browser(): Environment {
  return {
    fetch: (input, init) => fetch(input, init),
    socket: (url, protocol) => new WebSocket(url, protocol),
    indexedDB: databases(),
    locks: typeof navigator === 'undefined' ? undefined : navigator.locks,
    channel: (name) => (typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel(name)),
    now: () => Date.now(),
    random: () => Math.random(),
    uuid: () => uuid7(Date.now(), (bytes) => crypto.getRandomValues(bytes)),
    setTimer: (run, ms) => setTimeout(run, ms),
    clearTimer: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
    isOnline: () => navigator.onLine,
    onSigns,
    isVisible: () => document.visibilityState === 'visible',
  };
}

/** Some browsers throw at the mere mention of it when storage is turned off. */
function databases(): IDBFactory | undefined {
  try {
    return indexedDB;
  } catch {
    return undefined;
  }
}

function onSigns(listener: (sign: 'online' | 'offline' | 'visible' | 'hidden' | 'leaving') => void): () => void {
  const online = (): void => listener('online');
  const offline = (): void => listener('offline');
  const seen = (): void => listener(document.visibilityState === 'visible' ? 'visible' : 'hidden');
  const leaving = (): void => listener('leaving');
  addEventListener('online', online);
  addEventListener('offline', offline);
  addEventListener('pagehide', leaving);
  document.addEventListener('visibilitychange', seen);
  return () => {
    removeEventListener('online', online);
    removeEventListener('offline', offline);
    removeEventListener('pagehide', leaving);
    document.removeEventListener('visibilitychange', seen);
  };
}

/** UUIDv7 (RFC 9562 section 5.7): milliseconds first, so that ids sort as they were made. */
export function uuid7(ms: number, fill: (bytes: Uint8Array<ArrayBuffer>) => unknown): string {
  const bytes = new Uint8Array(16);
  fill(bytes);
  for (let place = 5, rest = ms; place >= 0; place -= 1, rest = Math.floor(rest / 256)) bytes[place] = rest % 256;
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
