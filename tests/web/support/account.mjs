/** A user without a browser: prepares what a test is not about, and looks at what the server holds. */
import { PATIENCE_MS } from './chromium.mjs';

export const PASSWORD = 'correct horse battery staple';

/** Calls the API; rejects with the server's words. */
export async function call(address, method, path, body, token) {
  const response = await fetch(`${address}/v1${path}`, {
    method,
    headers: { ...(token && { authorization: `Bearer ${token}` }), ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

/** Asks until the answer is the wanted one: for what a server does a moment after it has answered. */
export async function eventually(wanted, question) {
  const end = Date.now() + PATIENCE_MS;
  let answer = await question();
  while (answer !== wanted && Date.now() < end) answer = await question();
  if (answer !== wanted) throw new Error(`${answer} did not become ${wanted}`);
}

export class Account {
  #address;
  #token;

  /** Signs up unless the user is there, and in. */
  static async open(server, username, displayName = username, { isNew = true } = {}) {
    const account = new Account();
    // By number: a name may lead to an address nobody listens at.
    account.#address = `http://127.0.0.1:${server.port}`;
    if (isNew) await call(account.#address, 'POST', '/users', { username, password: PASSWORD, display_name: displayName });
    const signedIn = await call(account.#address, 'POST', '/sessions', { username, password: PASSWORD, device_name: 'test' });
    account.#token = signedIn.access_token;
    account.id = signedIn.user.id;
    account.username = username;
    account.displayName = displayName;
    return account;
  }

  call(method, path, body) {
    return call(this.#address, method, path, body, this.#token);
  }

  async find(username) {
    const { users } = await this.call('GET', `/users?query=${encodeURIComponent(username)}`);
    return users.find((user) => user.username === username).id;
  }

  async direct(user) {
    return (await this.call('POST', '/rooms', { kind: 'direct', user })).room.id;
  }

  async group(name, members = [], visibility = 'private') {
    return (await this.call('POST', '/rooms', { kind: 'group', name, members, visibility })).room.id;
  }

  async rooms() {
    return (await this.call('GET', '/rooms?limit=100')).rooms;
  }

  async room(id) {
    return (await this.rooms()).find((room) => room.id === id);
  }

  /** Writes these, one after the other; answers the seqs they got. */
  async write(room, texts, more = {}) {
    const seqs = [];
    for (const text of texts) {
      const stored = await this.call('POST', `/rooms/${room}/messages`, { message_id: crypto.randomUUID(), kind: 'text', content: { text }, ...more });
      seqs.push(stored.position.seq);
    }
    return seqs;
  }

  /** All texts of a room, oldest first, as the server holds them now. */
  async texts(room) {
    const texts = [];
    let after = 0;
    for (;;) {
      const { entries, more } = await this.call('GET', `/rooms/${room}/messages?after=${after}&limit=200`);
      for (const entry of entries) if (entry.kind === 'text' && !entry.deleted) texts.push(entry.content.text);
      if (!more || entries.length === 0) return texts;
      after = entries.at(-1).position.seq;
    }
  }
}
