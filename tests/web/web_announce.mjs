/** What a screen reader is told: asserted on the live region. */
import assert from 'node:assert/strict';
import { stage } from './support/stage.mjs';

const test = stage();

/** At most one announcement of messages in this time, ms. */
const EVERY_MS = 2_000;

/** Notes every text of the live region and when it came. Runs before the page. */
function record() {
  globalThis.spoken = [];
  let last = '';
  new MutationObserver(() => {
    const text = document.querySelector('[data-live-region]')?.textContent ?? '';
    if (text === last || text === '') return;
    last = text;
    globalThis.spoken.push({ text: text.trim(), at: performance.now() });
  }).observe(document, { subtree: true, childList: true, characterData: true });
}

const spoken = (person) => person.page.evaluate(() => globalThis.spoken.map((one) => one.text));

async function listener(scene) {
  const ada = await scene.person('Ada', { init: record, wire: true });
  const bob = await scene.account('Bob');
  const room = await bob.direct(await bob.find(ada.username));
  await bob.write(room, ['before']);
  await ada.openRoom(bob.displayName);
  await ada.sees('before');
  return { ada, bob, room };
}

test('one message of the open room is spoken with its author, and nothing of one’s own', async (scene) => {
  const { ada, bob, room } = await listener(scene);
  await bob.write(room, ['hello **there**']);
  await ada.page.waitForFunction(() => globalThis.spoken.length === 1);
  assert.deepEqual(await spoken(ada), [`${bob.displayName}: hello there`]);
  await ada.write('mine');
  await ada.state('mine', 'sent');
  assert.deepEqual((await spoken(ada)).slice(1), ['Message written']);
});

test('many at once are told as their number, at most one announcement in two seconds', async (scene) => {
  const { ada, bob, room } = await listener(scene);
  const sent = 40;
  await bob.write(room, Array.from({ length: sent }, (_, index) => `line ${index + 1}.`));
  await ada.sees(`line ${sent}.`);
  const counted = (least) => {
    const count = globalThis.spoken.reduce((sum, { text }) => sum + Number(/^(\d+) new messages$/.exec(text)?.[1] ?? 1), 0);
    return count >= least && count;
  };
  assert.equal(await (await ada.page.waitForFunction(counted, sent)).jsonValue(), sent);
  const at = await ada.page.evaluate(() => globalThis.spoken.map((one) => one.at));
  // The region changes after the batch has taken its time, by the time React needs: less between two than the least is impossible but for that.
  for (let index = 1; index < at.length; index += 1) assert.ok(at[index] - at[index - 1] > EVERY_MS / 2, `${at}`);
  assert.ok(at.length <= 1 + Math.ceil((at.at(-1) - at[0]) / EVERY_MS), `${at}`);
});

test('another room’s messages are not spoken', async (scene) => {
  const { ada, bob, room } = await listener(scene);
  const cleo = await scene.account('Cleo');
  const elsewhere = await cleo.direct(await cleo.find(ada.username));
  await cleo.write(elsewhere, ['psst', 'psst']);
  await ada.room(cleo.displayName).getByText('2 unread messages').waitFor();
  await bob.write(room, ['here']);
  await ada.page.waitForFunction(() => globalThis.spoken.length > 0);
  assert.deepEqual(await spoken(ada), [`${bob.displayName}: here`]);
});

test('older messages come in silence, and so does a room that is opened', async (scene) => {
  const { ada, bob, room } = await listener(scene);
  await ada.goto('#/');
  await bob.write(room, Array.from({ length: 250 }, (_, index) => `line ${index + 1}.`));
  await ada.room(bob.displayName).getByText('250 unread messages').waitFor();
  await ada.openRoom(bob.displayName);
  await ada.timeline.locator('[data-new-line]').waitFor();
  await ada.timeline.hover();
  const sees = async (text, by) => {
    while ((await ada.message(text).count()) === 0) {
      await ada.page.mouse.wheel(0, by);
      await ada.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    }
  };
  await sees('line 250.', 2_000);
  await sees('before', -2_000);
  assert.deepEqual(await spoken(ada), []);
  await bob.write(room, ['news']);
  await ada.page.waitForFunction(() => globalThis.spoken.length > 0);
  assert.deepEqual(await spoken(ada), [`${bob.displayName}: news`]);
});

test('a refused message and a lost connection are told as a status', async (scene) => {
  const { ada, bob } = await listener(scene);
  await bob.call('PUT', `/blocks/${await bob.find(ada.username)}`);
  await ada.write('refused');
  await ada.message('refused').getByRole('status').getByText('Not sent.').waitFor();
  await ada.goOffline();
  await ada.page.getByRole('status').getByText('You are offline.').waitFor();
});
