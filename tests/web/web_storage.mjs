/** A browser that keeps nothing, has no room, or has another version of the page open. */
import assert from 'node:assert/strict';
import { stage } from './support/stage.mjs';

const test = stage();

/** Storage is turned off: the mere mention throws, as in a private window of some browsers. Runs before the page. */
function noStorage() {
  Object.defineProperty(globalThis, 'indexedDB', { get: () => { throw new DOMException('denied', 'SecurityError'); } });
}

/** There is a database, and it does not open. Runs before the page. */
function closedStorage() {
  IDBFactory.prototype.open = () => { throw new DOMException('denied', 'InvalidStateError'); };
}

for (const [how, init] of [['is turned off', noStorage], ['does not open', closedStorage]]) {
  test(`storage ${how}: it works, and says that nothing is kept`, async (scene) => {
    const ada = await scene.person('Ada', { init });
    const bob = await scene.account('Bob');
    await ada.page.getByText('This browser window keeps nothing: what is not sent is lost when you close it.').waitFor();
    await ada.chatWith(bob);
    await ada.write('from a private window');
    await ada.state('from a private window', 'sent');
    await ada.page.getByRole('button', { name: 'Dismiss' }).click();
    await ada.page.getByText('This browser window keeps nothing').waitFor({ state: 'detached' });
    await ada.page.reload();
    await ada.sees('from a private window');
  });
}

test('the device is full: it says so once, and sending goes on', async (scene) => {
  const ada = await scene.stranger('Ada');
  const bob = await scene.account('Bob');
  const session = await ada.context.newCDPSession(ada.page);
  await session.send('Storage.overrideQuotaForOrigin', { origin: ada.address, quotaSize: 1 });
  await ada.signUp();
  const warning = ada.page.getByText('This device has no room left: new messages are not kept offline. Free some space.');
  await warning.waitFor();
  await ada.chatWith(bob);
  await ada.write('without room');
  await ada.state('without room', 'sent');
  await ada.page.getByRole('button', { name: 'Dismiss' }).click();
  await warning.waitFor({ state: 'detached' });
  await ada.write('still without');
  await ada.state('still without', 'sent');
  assert.equal(await warning.count(), 0);
  assert.deepEqual(await bob.texts(ada.roomId()), ['without room', 'still without']);
});

/** Opens the database as a version of the page of years from now would. Runs in the page. */
async function openNewer() {
  const [{ name, version }] = await indexedDB.databases();
  await new Promise((resolve, reject) => {
    const asked = indexedDB.open(name, version + 1);
    Object.assign(asked, { onsuccess: () => resolve(globalThis.newer = asked.result), onerror: () => reject(asked.error), onblocked: () => (globalThis.wasBlocked = true) });
  });
}

test('a newer version of the page wants the database: this one lets go, says so, and goes on', async (scene) => {
  const ada = await scene.person('Ada');
  const bob = await scene.account('Bob');
  await ada.chatWith(bob);
  await ada.write('before the update');
  await ada.state('before the update', 'sent');
  const other = await ada.context.newPage();
  // Any file of the origin will do: it runs no code of ours.
  await other.goto(`${ada.address}/icon.svg`);
  await other.evaluate(openNewer);
  await ada.page.getByText('Another tab runs an older version. Close it, then load this page again.').waitFor();
  await ada.write('after it');
  await ada.state('after it', 'sent');
  // An older page than the database meets what it cannot open: it works in memory and says so.
  await ada.page.reload();
  await ada.sees('after it');
  await ada.page.getByText('This browser window keeps nothing').waitFor();
});

test('an upgrade that an old tab blocks: the page starts, says what to do, and works', async (scene) => {
  const ada = await scene.stranger('Ada');
  const bob = await scene.account('Bob');
  const old = await ada.context.newPage();
  await old.goto(`${ada.address}/icon.svg`);
  await old.evaluate(() => new Promise((resolve) => (indexedDB.open('klatch', 1).onsuccess = ({ target }) => resolve(void (globalThis.held = target.result)))));
  // The page asks for a version above the one that is held open.
  await ada.context.addInitScript(() => {
    const { open } = IDBFactory.prototype;
    IDBFactory.prototype.open = function (name, version) {
      return open.call(this, name, version === undefined ? undefined : version + 1);
    };
  });
  await ada.signUp();
  await ada.page.getByText('Another tab runs an older version. Close it, then load this page again.').waitFor();
  await ada.chatWith(bob);
  await ada.write('all the same');
  await ada.state('all the same', 'sent');
});
