/** Without a network, and with a server that dies: nothing is lost, nothing comes twice, nobody has to load the page anew. */
import assert from 'node:assert/strict';
import { stage } from './support/stage.mjs';

// The limits hold: a client that comes back with a thousand messages must keep to them.
const test = stage({ limits: true });

const WRITTEN_OFFLINE = 20;
const QUEUED = 1_000;

const numbered = (count, word) => Array.from({ length: count }, (_, index) => `${word} ${index + 1}.`);

async function pair(scene) {
  const [ada, bob] = [await scene.person('Ada', { wire: true }), await scene.person('Bob')];
  await ada.chatWith(bob);
  await ada.write('hello');
  await bob.openRoom(ada.displayName);
  await bob.sees('hello');
  await ada.isInstalled();
  return { ada, bob, room: ada.roomId() };
}

test('20 messages written offline over a reload come once and in order, on both sides', async (scene) => {
  const { ada, bob, room } = await pair(scene);
  const words = numbered(WRITTEN_OFFLINE, 'offline');
  await ada.goOffline();
  for (const word of words.slice(0, 10)) await ada.write(word);
  await ada.sees('offline 10.');
  await ada.page.reload();
  await ada.sees('offline 10.');
  await ada.sees('hello');
  for (const word of words.slice(10)) await ada.write(word);
  await ada.page.getByText(`${WRITTEN_OFFLINE} messages wait.`).waitFor();
  await bob.write('meanwhile');
  await ada.goOnline();
  await bob.sees('offline 20.');
  await ada.page.getByText(/messages? waits?\./).waitFor({ state: 'detached' });
  const server = (await (await scene.accountOf(bob)).texts(room)).filter((text) => text !== 'hello');
  assert.deepEqual(server.filter((text) => text !== 'meanwhile'), words);
  for (const person of [ada, bob]) assert.deepEqual(await person.readAll(/offline \d+\.|meanwhile/), server);
});

test('what was read is readable offline, and what is changed there arrives', async (scene) => {
  const { ada, bob } = await pair(scene);
  await bob.write('from before');
  await ada.sees('from before');
  await ada.goOffline();
  await ada.page.reload();
  await ada.sees('from before');
  for (const person of [ada, bob]) await ada.page.locator('.message-sender', { hasText: person.displayName }).first().waitFor();
  await ada.act('from before', 'React with 👍');
  await ada.menuOf('hello', 'Edit');
  await ada.write('hello again');
  await ada.sees('hello again');
  await ada.page.getByRole('link', { name: /^People/ }).click();
  await ada.page.getByRole('searchbox', { name: 'Find people by name' }).fill(bob.username);
  await ada.page.getByText('The server cannot be reached. Check the network and try again.').waitFor();
  await ada.goOnline();
  await bob.sees('hello again');
  await bob.message('from before').getByRole('button', { name: '👍 1 reaction' }).waitFor();
});

test('a server killed with -9 and started again: no reload, nothing lost or doubled', async (scene) => {
  const { ada, bob, room } = await pair(scene);
  for (const person of [ada, bob]) await person.page.evaluate(() => (globalThis.sameLife = true));
  const words = [];
  for (let life = 1; life <= 3; life += 1) {
    const say = async (text) => {
      await ada.write(text);
      words.push(text);
    };
    await say(`life ${life} before.`);
    // Killed with this one on its way.
    await Promise.all([say(`life ${life} during.`), scene.server.kill()]);
    await say(`life ${life} after.`);
    await ada.sees(`life ${life} after.`);
    await scene.server.start();
    await bob.sees(`life ${life} after.`);
    await ada.state(`life ${life} after.`, 'read');
  }
  const server = await (await scene.accountOf(bob)).texts(room);
  assert.deepEqual(server, ['hello', ...words]);
  for (const person of [ada, bob]) {
    assert.deepEqual(await person.readAll(/life \d \w+\./), words);
    assert.equal(await person.page.evaluate(() => globalThis.sameLife), true);
  }
});

/** Writes and sends them as fast as the page takes it. Runs in the page: by key presses from outside it would take minutes. */
async function writeAll(area, words) {
  const { set } = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value');
  const drawn = () => new Promise((resolve) => setTimeout(resolve));
  for (const word of words) {
    set.call(area, word);
    area.dispatchEvent(new InputEvent('input', { bubbles: true }));
    await drawn();
    area.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
    await drawn();
  }
}

test('a reload with 1000 queued messages sends each once, in order, within the server’s limits', async (scene) => {
  const { ada, bob, room } = await pair(scene);
  const words = numbered(QUEUED, 'queued');
  const waiting = QUEUED.toLocaleString('en-GB');
  await ada.goOffline();
  await ada.composer.evaluate(writeAll, words);
  await ada.page.getByText(`${waiting} messages wait.`).waitFor();
  await ada.page.reload();
  await ada.page.getByText(`${waiting} messages wait.`).waitFor();
  await ada.goOnline();
  await ada.page.getByText(/messages? waits?\./).waitFor({ state: 'detached' });
  await bob.sees(`queued ${QUEUED}.`);
  const mine = await scene.accountOf(bob);
  assert.deepEqual(await mine.texts(room), ['hello', ...words]);
});
