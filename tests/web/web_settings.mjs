/** Settings: what one looks at, is told of, and is called. */
import assert from 'node:assert/strict';
import { stage } from './support/stage.mjs';

const test = stage();

test('theme, density and language change at once and stay over a reload', async (scene) => {
  const ada = await scene.person('Ada');
  const look = () => ada.page.evaluate(() => ({ ...document.documentElement.dataset, lang: document.documentElement.lang, ground: getComputedStyle(document.body).backgroundColor }));
  await ada.goto('#/settings/look');
  const light = await look();
  await ada.page.getByRole('radio', { name: 'Dark' }).check();
  await ada.page.waitForFunction((before) => getComputedStyle(document.body).backgroundColor !== before, light.ground);
  await ada.page.getByRole('radio', { name: /Compact/ }).check();
  await ada.page.getByRole('radio', { name: 'Deutsch' }).check();
  await ada.page.getByRole('heading', { name: 'Einstellungen' }).first().waitFor();
  const changed = await look();
  assert.deepEqual([changed.theme, changed.density, changed.lang], ['dark', 'compact', 'de']);
  await ada.page.reload();
  await ada.page.getByRole('heading', { name: 'Einstellungen' }).first().waitFor();
  assert.deepEqual(await look(), changed);
  await ada.page.getByRole('radio', { name: 'English' }).check();
  await ada.page.getByRole('radio', { name: 'High contrast' }).check();
  await ada.page.waitForFunction(() => document.documentElement.dataset.theme === 'contrast');
});

test('the system’s wishes are followed: dark, more contrast, the browser’s language', async (scene) => {
  const ada = await scene.person('Ada', { colorScheme: 'dark' });
  const ground = () => ada.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  await ada.page.emulateMedia({ colorScheme: 'light' });
  assert.notEqual(await ground(), dark);
  const german = await scene.stranger('Uwe', { locale: 'de-DE' });
  await german.page.goto(german.address);
  await german.page.getByRole('button', { name: 'Anmelden' }).waitFor();
  assert.equal(await german.page.evaluate(() => document.documentElement.lang), 'de');
});

test('a name and a status reach the others', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await ada.chatWith(bob);
  await ada.write('it is me');
  await bob.openRoom(ada.displayName);
  await ada.goto('#/settings/profile');
  await ada.page.getByLabel('Name', { exact: true }).fill(scene.name('Countess'));
  await ada.page.getByLabel('Status', { exact: true }).fill('computing');
  await ada.page.getByRole('button', { name: 'Save' }).click();
  await ada.page.locator('.sidebar-me').getByText('computing').waitFor();
  await bob.page.reload();
  await bob.page.getByRole('heading', { level: 1, name: scene.name('Countess') }).waitFor();
  await bob.page.locator('.room-header').getByText('computing').waitFor();
});

/** Notes what the page asks of the system's notifications. Runs before the page. */
function recordNotifications() {
  const told = (globalThis.told = []);
  const Real = globalThis.Notification;
  globalThis.Notification = class extends Real {
    constructor(title, options) {
      super(title, options);
      told.push({ title, body: options.body });
    }
    close() {
      told.push({ closed: this.title });
      super.close();
    }
  };
}

test('notifications are asked for by a press only, come for what is not on screen, and go when it is read', async (scene) => {
  const ada = await scene.person('Ada', { init: recordNotifications });
  const bob = await scene.account('Bob');
  const room = await bob.direct(await bob.find(ada.username));
  await ada.room(bob.displayName).waitFor();
  await bob.write(room, ['before anybody asked']);
  await ada.room(bob.displayName).getByText('1 unread message').waitFor();
  assert.deepEqual(await ada.page.evaluate(() => globalThis.told), []);
  await ada.context.grantPermissions(['notifications']);
  await ada.page.reload();
  await ada.goto('#/settings/notifications');
  await ada.page.getByRole('switch', { name: 'Show notifications' }).check();
  await bob.write(room, ['a **new** thing']);
  await ada.page.waitForFunction(() => globalThis.told.length === 1);
  await ada.openRoom(bob.displayName);
  await ada.page.waitForFunction(() => globalThis.told.length === 2);
  assert.deepEqual(await ada.page.evaluate(() => globalThis.told), [{ title: bob.displayName, body: 'a new thing' }, { closed: bob.displayName }]);
  await bob.write(room, ['on screen']);
  await ada.sees('on screen');
  assert.equal(await ada.page.evaluate(() => globalThis.told.length), 2);
});

test('the shortcut sheet opens by its key and says which are turned off', async (scene) => {
  const ada = await scene.person('Ada');
  await ada.page.keyboard.press('Control+/');
  const sheet = ada.page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  await sheet.getByText('Edit your last message (empty field)').waitFor();
  await ada.page.keyboard.press('Escape');
  await sheet.waitFor({ state: 'detached' });
  await ada.goto('#/settings/keyboard');
  await ada.page.getByRole('switch', { name: 'Shortcuts of a single key' }).uncheck();
  await ada.page.getByRole('button', { name: 'Show all shortcuts' }).click();
  await sheet.getByText('On a message, single keys (turned off)').waitFor();
});
