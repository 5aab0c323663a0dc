/** HAProxy and NGINX before a server, with the configurations that ship: only names, ports and paths are put in. */
import { spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { PATIENCE_MS, ROOT } from './chromium.mjs';

/** Stands before a command: whose balancers they are, as the tests of the tier `service_*` choose. */
const INSTALLATION = process.env.KLATCH_SERVICES === 'majors' ? [path.join(ROOT, 'tests/majors'), 'run'] : [];
const TLS = path.join(ROOT, 'tests/samples/tls');
const CERTIFICATE = path.join(TLS, 'server.pem');
const KEY = path.join(TLS, 'server.key.pem');
/** Between two looks, ms. */
const LOOK_MS = 20;
/** Between two signals to read the configuration, ms: far above the tens that it takes. */
const SIGNAL_MS = 1_000;

/** What makes Chromium believe the certificate as if an authority of the web vouched for it; workers of a page need that. */
export function trusting() {
  const key = new X509Certificate(fs.readFileSync(CERTIFICATE)).publicKey.export({ type: 'spki', format: 'der' });
  return [`--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`];
}

function freePort() {
  return new Promise((resolve, reject) => {
    const listener = net.createServer().once('error', reject);
    listener.listen(0, '127.0.0.1', () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });
}

/** `what` is asked for its words at the end, when there is more to tell. */
async function until(what, holds) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${what()} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => (socket.destroy(), resolve(true))).once('error', () => resolve(false));
  });
}

const PRODUCTS = {
  haproxy: {
    file: 'haproxy.cfg',
    reload: 'SIGUSR2',
    command: (folder, file) => ['/usr/sbin/haproxy', '-W', '-db', '-f', file],
    places(folder, server, port, clear) {
      const both = path.join(folder, 'both.pem');
      fs.writeFileSync(both, fs.readFileSync(CERTIFICATE, 'utf8') + fs.readFileSync(KEY, 'utf8'));
      const upstream = ['8481', '8491', '8482', '8492'].map((from) => [`127.0.0.1:${from} check port 9${from.slice(1)}`, `127.0.0.1:${server} check port ${server}`]);
      return [['bind :80\n', `bind 127.0.0.1:${clear}\n`], ['bind :443 ', `bind 127.0.0.1:${port} `], ['/etc/haproxy/chat.example.org.pem', both], ...upstream];
    },
  },
  nginx: {
    file: 'nginx.conf',
    reload: 'SIGHUP',
    command: (folder, file) => ['/usr/sbin/nginx', '-p', folder, '-c', file, '-g', `daemon off; pid ${folder}/pid; error_log stderr notice;`],
    places(folder, server, port, clear) {
      const upstream = ['8481', '8491', '8482', '8492'].map((from) => [`server 127.0.0.1:${from} `, `server 127.0.0.1:${server} `]);
      const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `    ${what}_temp_path ${folder}/${what};\n`).join('');
      return [
        ['listen 80;', `listen 127.0.0.1:${clear};`],
        ['listen 443 ', `listen 127.0.0.1:${port} `],
        ['server_name chat.example.org;', 'server_name localhost;'],
        ['/etc/nginx/chat.example.org.crt', CERTIFICATE],
        ['/etc/nginx/chat.example.org.key', KEY],
        ['/var/log/nginx/access.log', path.join(folder, 'access')],
        ['http {\n', `http {\n${scratch}`],
        ...upstream,
      ];
    },
  },
};

export class Balancer {
  #product;
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'klatch-balancer-'));
  #child;
  #log = '';
  port = 0;

  /** Starts one before a server, and answers when it takes connections. `product`: haproxy or nginx. */
  static async before(server, product) {
    const balancer = new Balancer();
    await balancer.#start(server, PRODUCTS[product]);
    return balancer;
  }

  get address() {
    return `https://localhost:${this.port}`;
  }

  async #start(server, product) {
    this.#product = product;
    this.port = await freePort();
    const shipped = path.join(ROOT, 'docs/load-balancers', product.file);
    let text = fs.readFileSync(shipped, 'utf8');
    for (const [place, value] of product.places(this.#folder, server.port, this.port, await freePort())) {
      if (!text.includes(place)) throw new Error(`${shipped} has no ${place}`);
      text = text.replaceAll(place, value);
    }
    const file = path.join(this.#folder, product.file);
    fs.writeFileSync(file, text);
    const [program, ...flags] = [...INSTALLATION, ...product.command(this.#folder, file)];
    // A group of its own: its workers go with it.
    const child = spawn(program, flags, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (this.#log = (this.#log + bytes).slice(-4_000)));
    process.on('exit', () => this.#kill());
    await until(() => `${program}: ${this.#log}`, () => listens(this.port));
  }

  #workers() {
    return fs.readFileSync(`/proc/${this.#child.pid}/task/${this.#child.pid}/children`, 'utf8').split(' ').filter(Boolean);
  }

  /** Reads its configuration again, and answers when a new worker runs. */
  async reload() {
    const before = this.#workers();
    let next = 0;
    await until(
      () => `a reload: ${this.#log}`,
      () => {
        // HAProxy's master starts anew with each reload, and a signal that comes meanwhile is lost.
        if (Date.now() >= next) {
          this.#child.kill(this.#product.reload);
          next = Date.now() + SIGNAL_MS;
        }
        return this.#workers().some((worker) => !before.includes(worker));
      },
    );
  }

  #kill() {
    try {
      process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }

  stop() {
    this.#kill();
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}
