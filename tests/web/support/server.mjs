/** The built `klatch up` with the built web client, on a free port of the loopback and data of its own. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ROOT, WEB } from './chromium.mjs';

const target = process.env.CARGO_TARGET_DIR ?? path.join(os.homedir(), '.cache/klatch/target');
export const KLATCH = process.env.KLATCH ?? path.resolve(ROOT, target, 'debug/klatch');
export const DIST = process.env.KLATCH_DIST ?? path.join(WEB, 'dist');

/** Server processes that run now: they end with this one, however it ends. */
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const [signal, number] of [['SIGTERM', 15], ['SIGINT', 2], ['SIGHUP', 1]]) process.on(signal, () => process.exit(128 + number));

export class Server {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'klatch-web-'));
  #flags;
  #child;
  /** The folder that is served from the next start on. */
  web = DIST;
  port = 0;

  /** `settings`: text of a settings file. `limits`: whether the rate limits hold. */
  constructor({ settings, limits = false } = {}) {
    const file = path.join(this.#folder, 'settings.yaml');
    if (settings) fs.writeFileSync(file, settings);
    this.#flags = [...(settings ? ['-f', file] : []), ...(limits ? [] : ['--no-limits'])];
  }

  static async start(options) {
    const server = new Server(options);
    await server.start();
    return server;
  }

  /** The page's address: a browser trusts the name like https. */
  get address() {
    return `http://localhost:${this.port}`;
  }

  /** Starts it on the port and the data it had, and answers when it serves. */
  async start() {
    const flags = ['up', '--data', path.join(this.#folder, 'data'), '--listen', `127.0.0.1:${this.port}`, '--web', this.web, ...this.#flags];
    const child = spawn(KLATCH, flags, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    running.add(child);
    let log = '';
    child.stderr.on('data', (bytes) => (log = (log + bytes).slice(-4_000)));
    this.port = await new Promise((resolve, reject) => {
      let said = '';
      child.stdout.on('data', (bytes) => {
        said += bytes;
        const ready = /^ready http:\/\/127\.0\.0\.1:(\d+)$/m.exec(said);
        if (ready) resolve(Number(ready[1]));
      });
      child.on('error', reject);
      child.on('exit', (code) => {
        running.delete(child);
        reject(new Error(`the server ended with ${code}: ${log}`));
      });
    });
  }

  /** `kill -9`, as a power cut would. */
  async kill() {
    await this.#end('SIGKILL');
  }

  /** Ends it in order and throws its data away. */
  async stop() {
    await this.#end('SIGTERM');
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  #end(signal) {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill(signal);
    });
  }
}
