/** A new version of the page: offered, never forced, and never under a draft. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DIST } from './support/server.mjs';
import { stage } from './support/stage.mjs';

const test = stage();

/** Serves another build from now on: the same code under another hash, as after any change. */
async function deploy(server) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'klatch-dist-'));
  fs.cpSync(DIST, folder, { recursive: true });
  const change = (name, how) => {
    for (const ending of ['.br', '.gz']) fs.rmSync(path.join(folder, name + ending), { force: true });
    fs.writeFileSync(path.join(folder, name), how(fs.readFileSync(path.join(folder, name), 'utf8')));
  };
  const revision = crypto.randomUUID().replaceAll('-', '');
  change('index.html', (page) => page.replace('<title>', `<meta name="revision" content="${revision}" /><title>`));
  change('sw.js', (worker) => worker.replace(/(url:"index.html",revision:")[^"]+/, `$1${revision}`));
  server.web = folder;
  await server.kill();
  await server.start();
  fs.rmSync(folder, { recursive: true });
  return revision;
}

const revisionOf = (person) => person.page.evaluate(() => document.querySelector('meta[name=revision]')?.content);
const offer = (person) => person.page.getByText('A new version is ready.');

/** Asks for a new version now instead of in an hour; answers when it is installed and waits. */
async function lookForUpdate(person) {
  await person.page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    await registration.update();
    const fresh = registration.installing ?? registration.waiting;
    while (fresh.state === 'installing') await new Promise((resolve) => fresh.addEventListener('statechange', resolve, { once: true }));
  });
}

async function writer(scene) {
  const ada = await scene.person('Ada');
  const bob = await scene.account('Bob');
  await ada.isInstalled();
  // The page of the first visit: it was loaded before there was a service worker.
  await ada.page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await ada.chatWith(bob);
  await ada.page.evaluate(() => (globalThis.sameLife = true));
  return { ada, bob };
}

test('under a draft nothing is offered and nothing loads anew; then it is offered, and taken by a press', async (scene) => {
  const { ada, bob } = await writer(scene);
  await ada.composer.fill('half a sentence');
  const revision = await deploy(scene.server);
  await lookForUpdate(ada);
  const other = await ada.tab();
  await other.isIn();
  // The other tab writes nothing, but a draft of the device is a draft.
  await ada.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.equal(await offer(ada).count(), 0);
  assert.equal(await ada.composer.inputValue(), 'half a sentence');
  await ada.composer.press('Enter');
  await ada.state('half a sentence', 'sent');
  await offer(ada).waitFor();
  assert.equal(await ada.page.evaluate(() => globalThis.sameLife), true);
  await ada.page.getByRole('button', { name: 'Update' }).click();
  await ada.page.waitForFunction(() => globalThis.sameLife === undefined && document.querySelector('.composer') !== null);
  assert.equal(await revisionOf(ada), revision);
  await ada.sees('half a sentence');
  assert.deepEqual(await bob.texts(ada.roomId()), ['half a sentence']);
});

test('a tab that takes the new version does not load another one anew that has a draft', async (scene) => {
  const { ada } = await writer(scene);
  await ada.composer.fill('do not touch');
  const other = await ada.tab();
  await other.isIn();
  await other.page.evaluate(() => (globalThis.sameLife = true));
  await deploy(scene.server);
  await lookForUpdate(other);
  await offer(other).waitFor();
  await other.page.getByRole('button', { name: 'Update' }).click();
  await other.page.waitForFunction(() => globalThis.sameLife === undefined);
  await other.isIn();
  assert.equal(await ada.page.evaluate(() => globalThis.sameLife), true);
  assert.equal(await ada.composer.inputValue(), 'do not touch');
  await ada.composer.press('Enter');
  await ada.state('do not touch', 'sent');
});

test('"later" leaves everything as it is; the next start has the new version offered again', async (scene) => {
  const { ada } = await writer(scene);
  await deploy(scene.server);
  await lookForUpdate(ada);
  await offer(ada).waitFor();
  await ada.page.getByRole('button', { name: 'Later' }).click();
  await offer(ada).waitFor({ state: 'detached' });
  assert.equal(await ada.page.evaluate(() => globalThis.sameLife), true);
  await ada.page.reload();
  await offer(ada).waitFor();
});
