/** What lies between browser and server: TCP that can be watched frame by frame, cut, held back and silenced. */
import net from 'node:net';

const TEXT = 1;
const CLOSE = 8;
const HEAD_END = Buffer.from('\r\n\r\n');

/** What may be done with a WebSocket message on its way. */
export const PASS = 'pass';
export const CUT_BEFORE = 'cut before';
export const CUT_INSIDE = 'cut inside';
export const CUT_AFTER = 'cut after';

export class Wire {
  #server;
  #listener;
  #links = new Set();
  #held;
  /** Asked for each text message of a WebSocket: `(frames, link) => PASS | CUT_*`. */
  fromClient = () => PASS;
  fromServer = () => PASS;
  /** New connections end at once. */
  isDown = false;
  /** Bytes vanish on the way and nobody is told: a half-open connection. */
  isSilent = false;
  /** WebSockets that were opened so far. */
  sockets = 0;

  constructor(server) {
    this.#server = server;
  }

  static async to(server) {
    const wire = new Wire(server);
    wire.#listener = net.createServer((near) => wire.#accept(near));
    await new Promise((resolve) => wire.#listener.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  get address() {
    return `http://localhost:${this.#listener.address().port}`;
  }

  /** Ends every connection without a word. */
  cut() {
    for (const link of [...this.#links]) link.cut();
  }

  /** Keeps what the server says on WebSockets until `release`. */
  hold() {
    this.#held ??= [];
  }

  release() {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const [link, bytes] of held) link.near.write(bytes);
  }

  /** Tells each browser that the server closes its WebSocket with this code. */
  closeWith(code) {
    for (const link of this.#links) {
      if (link.isSocket) link.near.end(Buffer.from([0x80 | CLOSE, 2, code >> 8, code & 0xff]));
    }
  }

  async close() {
    this.isDown = true;
    this.cut();
    await new Promise((resolve) => this.#listener.close(resolve));
  }

  #accept(near) {
    if (this.isDown) return near.destroy();
    const link = new Link(near, net.connect(this.#server.port, '127.0.0.1'));
    this.#links.add(link);
    near.on('close', () => this.#links.delete(link));
    near.on('data', (bytes) => this.#carry(link, link.up, bytes, link.far, (frames) => this.fromClient(frames, link)));
    link.far.on('data', (bytes) => this.#carry(link, link.down, bytes, near, (frames) => this.fromServer(frames, link)));
  }

  #carry(link, way, bytes, to, decide) {
    if (this.isSilent) return;
    way.buffer = Buffer.concat([way.buffer, bytes]);
    if (!way.isFramed) {
      if (!this.#carryHead(link, way, to)) return;
    }
    for (let piece = next(way); piece && !link.isCut; piece = next(way)) {
      const verdict = piece.opcode === TEXT ? decide(piece.text.split('\n').filter(Boolean).map((line) => JSON.parse(line))) : PASS;
      if (to === link.near && this.#held && verdict === PASS) {
        this.#held.push([link, piece.bytes]);
        continue;
      }
      if (verdict === CUT_INSIDE) to.write(piece.bytes.subarray(0, piece.bytes.length >> 1));
      else if (verdict !== CUT_BEFORE) to.write(piece.bytes);
      // What was written still goes out: the other side has it, this one never hears so.
      if (verdict !== PASS) link.cut();
    }
  }

  /** Passes plain HTTP on. Answers whether the rest is frames of a WebSocket. */
  #carryHead(link, way, to) {
    const end = way.buffer.indexOf(HEAD_END);
    const head = end < 0 ? '' : way.buffer.subarray(0, end).toString('latin1');
    const upgrades = way === link.up ? /^GET \/v1\/connect/.test(head) : link.asked && /^HTTP\/1.1 101/.test(head);
    if (!upgrades) {
      to.write(way.buffer);
      way.buffer = Buffer.alloc(0);
      return false;
    }
    if (way === link.up) {
      link.asked = true;
    } else {
      link.isSocket = true;
      this.sockets += 1;
    }
    to.write(way.buffer.subarray(0, end + HEAD_END.length));
    way.buffer = way.buffer.subarray(end + HEAD_END.length);
    way.isFramed = true;
    return true;
  }
}

class Link {
  up = { buffer: Buffer.alloc(0), isFramed: false };
  down = { buffer: Buffer.alloc(0), isFramed: false };
  asked = false;
  isSocket = false;
  isCut = false;

  constructor(near, far) {
    this.near = near;
    this.far = far;
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('error', () => {});
      one.on('close', () => other.destroySoon());
    }
  }

  cut() {
    this.isCut = true;
    this.near.destroySoon();
    this.far.destroySoon();
  }
}

/** The next whole WebSocket frame (RFC 6455 section 5.2), taken from the buffer. */
function next(way) {
  const { buffer } = way;
  if (buffer.length < 2) return undefined;
  let at = 2;
  let length = buffer[1] & 0x7f;
  if (length === 126) {
    if (buffer.length < 4) return undefined;
    length = buffer.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (buffer.length < 10) return undefined;
    length = Number(buffer.readBigUInt64BE(2));
    at = 10;
  }
  const mask = buffer[1] & 0x80 ? buffer.subarray(at, at + 4) : undefined;
  if (mask) at += 4;
  if (buffer.length < at + length) return undefined;
  const bytes = buffer.subarray(0, at + length);
  way.buffer = buffer.subarray(at + length);
  const body = Buffer.from(bytes.subarray(at));
  if (mask) for (let index = 0; index < body.length; index += 1) body[index] ^= mask[index & 3];
  return { opcode: bytes[0] & 0x0f, bytes, text: body.toString('utf8') };
}
