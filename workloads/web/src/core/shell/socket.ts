import type { Input } from '../engine/events';
import type { ClientFrame, ServerFrame } from '../wire/frames';
import { compact } from '../wire/compact';
import type { Environment } from './environment';

/** Wire contract. */
const PROTOCOL = 'klatch.v1+json';
/** Bytes of one message of ours: the contract's 64 KiB, less what UTF-8 and framing add. */
const MESSAGE_CHARACTERS = 16 * 1024;
/** Bytes that may wait to be sent before the server counts as one that does not read. */
const UNSENT_BYTES = 4 * 1024 * 1024;

/** One socket at a time. What an older one still says is not heard. */
export class Socket {
  readonly #environment: Environment;
  readonly #url: string;
  readonly #tell: (inputs: Input[]) => void;
  #socket: WebSocket | undefined;
  #pinging: unknown;

  constructor(environment: Environment, server: string, tell: (inputs: Input[]) => void) {
    this.#environment = environment;
    this.#url = `${server.replace(/^http/, 'ws')}/v1/connect`;
    this.#tell = tell;
  }

  open(): void {
    this.close(1000);
    let socket: WebSocket;
    try {
      socket = this.#environment.socket(this.#url, PROTOCOL);
    } catch {
      // A page's policy may forbid it; the engine tries again, later and later.
      queueMicrotask(() => this.#tell([{ type: 'disconnected' }]));
      return;
    }
    this.#socket = socket;
    socket.onopen = () => {
      if (this.#socket === socket) this.#tell([{ type: 'connected' }]);
    };
    socket.onmessage = ({ data }) => {
      if (this.#socket === socket) this.#tell(this.#read(data));
    };
    socket.onclose = ({ code }) => {
      if (this.#socket !== socket) return;
      this.#drop();
      // 1005 and 1006 are the browser's words for "no code".
      this.#tell([{ type: 'disconnected', ...(code !== 1005 && code !== 1006 && { code }) }]);
    };
  }

  close(code: number): void {
    const socket = this.#socket;
    this.#drop();
    // A browser allows a page no other codes.
    socket?.close(code === 1000 || (code >= 3000 && code <= 4999) ? code : 1000);
  }

  send(frames: readonly ClientFrame[]): void {
    const socket = this.#socket;
    if (socket?.readyState !== 1) return;
    for (const text of messages(frames)) socket.send(text);
    if (socket.bufferedAmount <= UNSENT_BYTES) return;
    this.close(1000);
    queueMicrotask(() => this.#tell([{ type: 'disconnected' }]));
  }

  /** Asks for a sign of life: a page does not see the server's pings. */
  ping(): void {
    this.send([{ type: 'ping' }]);
  }

  #drop(): void {
    this.#environment.clearTimer(this.#pinging);
    this.#pinging = undefined;
    this.#socket = undefined;
  }

  #pingEvery(ms: number): void {
    this.#environment.clearTimer(this.#pinging);
    this.#pinging = this.#environment.setTimer(() => {
      this.ping();
      this.#pingEvery(ms);
    }, ms);
  }

  #read(data: unknown): Input[] {
    if (typeof data !== 'string') return [{ type: 'heard' }];
    const inputs: Input[] = [];
    for (const line of data.split('\n')) {
      if (line === '') continue;
      const frame = parse(line);
      if (frame?.type === 'welcome') this.#pingEvery(Math.max(1_000, frame.heartbeat_ms));
      inputs.push(frame ? { type: 'frame', frame } : { type: 'heard' });
    }
    return inputs;
  }
}

function parse(line: string): ServerFrame | undefined {
  try {
    const frame = JSON.parse(line) as ServerFrame;
    if (typeof frame !== 'object' || frame === null || typeof frame.type !== 'string') return undefined;
    return frame.type === 'message' ? { ...frame, entry: compact(frame.entry) } : frame;
  } catch {
    return undefined;
  }
}

/** Frames as lines, some to a message, none above its bound. */
function* messages(frames: readonly ClientFrame[]): Generator<string> {
  let text = '';
  for (const frame of frames) {
    const line = JSON.stringify(frame);
    if (text !== '' && text.length + line.length > MESSAGE_CHARACTERS) {
      yield text;
      text = '';
    }
    text += text === '' ? line : `\n${line}`;
  }
  if (text !== '') yield text;
}
