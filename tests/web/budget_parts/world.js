'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { createRequire } = require('node:module');
const { install } = require('./probe.js');

const root = path.resolve(__dirname, '../../..');
const web = path.join(root, 'workloads/web');
const dist = process.env.KLATCH_DIST ?? path.join(web, 'dist');
const load = createRequire(path.join(web, 'package.json'));
const target = process.env.CARGO_TARGET_DIR ?? path.join(os.homedir(), '.cache/klatch/target');

/** How long anything may take to show, ms: a bound for what hangs, no measurement. */
const PATIENCE_MS = 30_000;
const PASSWORD = 'correct horse battery staple';
/** The devices budgets are meant for are this much slower. */
const SLOWER = 4;
/** Bytes of one message of frames: the wire contract's 64 KiB, less some. */
const FRAME_BYTES = 48 * 1024;

/** One server, one browser, the people on it. Made when first asked for, gone at the end. */
class World {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'klatch-budgets-'));
  #server;
  #browser;
  #writer;
  #made = new Map();
  web = web;
  dist = dist;
  load = load;

  /** What a part made for the next ones. */
  once(name, make) {
    if (!this.#made.has(name)) this.#made.set(name, make());
    return this.#made.get(name);
  }

  async address() {
    this.#server ??= serve(path.join(this.#folder, 'data'), (child) => (this.child = child));
    return `http://localhost:${await this.#server}`;
  }

  async browser() {
    this.#browser ??= load('playwright-core').chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--enable-precise-memory-info'],
    });
    return this.#browser;
  }

  /** A page in a browser profile of its own, with the probe in it. */
  async page(options = {}) {
    const browser = await this.browser();
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    await context.addInitScript(install);
    const page = await context.newPage();
    page.on('pageerror', (error) => console.error(`the page says: ${error.message}`));
    const session = await context.newCDPSession(page);
    return Object.assign(page, {
      session,
      slow: () => session.send('Emulation.setCPUThrottlingRate', { rate: SLOWER }),
      fast: () => session.send('Emulation.setCPUThrottlingRate', { rate: 1 }),
      heap: async () => {
        await session.send('HeapProfiler.collectGarbage');
        return (await session.send('Runtime.getHeapUsage')).usedSize;
      },
    });
  }

  /** Opens a room, which begins at its first unread message, and goes to its last one: from then on it is read. */
  async readRoom(page, { id, last }) {
    await page.locator(`[data-room="${id}"]`).click();
    await page.locator('.timeline [data-row]').first().waitFor();
    const [pill, line] = [page.locator('.timeline-pill-down'), page.locator('.timeline').getByText(last)];
    await pill.or(line).first().waitFor();
    if (await pill.isVisible()) await pill.click();
    await page.locator(`[data-room="${id}"]:not(.room-line-unread)`).waitFor();
    await line.waitFor();
  }

  async call(token, method, at, body) {
    const answer = await fetch(`${await this.address()}/v1${at}`, {
      method,
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${at}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? undefined : answer.json();
  }

  async person(username) {
    await this.call(undefined, 'POST', '/users', { username, password: PASSWORD });
    const answer = await this.call(undefined, 'POST', '/sessions', { username, password: PASSWORD, device_name: 'budgets' });
    return { id: answer.user.id, token: answer.access_token };
  }

  /** Signs in by the page's own form. */
  async signIn(page, username) {
    await page.goto(`${await this.address()}/`);
    await page.locator('input[autocomplete="username"]').fill(username);
    await page.locator('input[type=password]').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await page.locator('.sidebar').waitFor();
  }

  /** Writes as fast as the server stores, or `everyMs`. Answers when the last one is stored. */
  async write(token, room, from, count, everyMs = 0) {
    this.#writer ??= this.#openWriter(token);
    const page = await this.#writer;
    await page.evaluate(([room, from, count, everyMs]) => writer.write(room, from, count, everyMs), [room, from, count, everyMs]);
  }

  async #openWriter(token) {
    const page = await (await this.browser()).newPage();
    await page.goto(`${await this.address()}/healthz`);
    await page.evaluate(openWriter, { token, frameBytes: FRAME_BYTES });
    return page;
  }

  /** What the pages showed when a measurement failed. */
  async photograph() {
    const browser = await this.#browser;
    for (const [number, page] of (browser?.contexts() ?? []).flatMap((context) => context.pages()).entries()) {
      const file = path.join(os.tmpdir(), `klatch-budgets-${number}.png`);
      await page.screenshot({ path: file, timeout: 5_000 }).then(() => console.error(`the page showed ${file}`), () => {});
    }
  }

  async close() {
    await (await this.#browser)?.close();
    if (this.child) {
      this.child.removeAllListeners('exit');
      const ended = new Promise((resolve) => this.child.on('exit', resolve));
      this.child.kill('SIGTERM');
      await ended;
    }
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

function serve(data, started) {
  const child = spawn(process.env.KLATCH ?? path.join(target, 'debug/klatch'), ['up', '--no-limits', '--data', data, '--listen', '127.0.0.1:0', '--web', dist], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, KLATCH_LOG: 'error' } });
  started(child);
  process.on('exit', () => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    let said = '';
    child.stdout.on('data', (bytes) => {
      const ready = (said += bytes).match(/^ready http:\/\/127\.0\.0\.1:(\d+)$/m);
      if (ready) resolve(Number(ready[1]));
    });
    child.on('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
}

/** Runs in a page: a person who writes by the wire contract. */
function openWriter({ token, frameBytes }) {
  const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/v1/connect`, 'klatch.v1+json');
  let window_ = 0;
  let stored = 0;
  let sent = 0;
  let wake = () => {};
  const words = 'Some words that wrap now and then, as people write them. ';
  const id = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    for (let place = 5, rest = Date.now(); place >= 0; place -= 1, rest = Math.floor(rest / 256)) bytes[place] = rest % 256;
    bytes[6] = 0x70 | (bytes[6] & 15);
    bytes[8] = 0x80 | (bytes[8] & 63);
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  };
  const frame = (room, number) => JSON.stringify({ type: 'send', message_id: id(), room, kind: 'text', content: { text: `line ${number}. ${words.repeat(number % 5)}` } });
  globalThis.writer = {
    async write(room, from, count, everyMs) {
      const until = sent + count;
      for (let number = from; sent < until; ) {
        while (sent - stored >= window_) await new Promise((resolve) => (wake = resolve));
        let text = '';
        while (sent < until && sent - stored < window_ && text.length < frameBytes) {
          text += `${text && '\n'}${frame(room, number)}`;
          number += 1;
          sent += 1;
          if (everyMs) break;
        }
        socket.send(text);
        if (everyMs) await new Promise((resolve) => setTimeout(resolve, everyMs));
      }
      while (stored < sent) await new Promise((resolve) => (wake = resolve));
    },
  };
  return new Promise((resolve, reject) => {
    socket.onopen = () => socket.send(JSON.stringify({ type: 'hello', token, client: { name: 'budgets', version: '1' } }));
    socket.onclose = ({ code }) => reject(new Error(`the writer was closed with ${code}`));
    socket.onmessage = ({ data }) => {
      for (const line of data.split('\n')) {
        const { type, limits, code } = JSON.parse(line);
        if (type === 'welcome') window_ = Math.min(400, limits.in_flight);
        if (type === 'welcome') resolve();
        if (type === 'stored') stored += 1;
        if (type === 'refused' || type === 'error') throw new Error(`the writer was told ${code}`);
      }
      wake();
    };
  });
}

module.exports = { World, SLOWER };
