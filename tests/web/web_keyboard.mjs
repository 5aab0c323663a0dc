/** The whole of a day by keyboard alone: no pointer touches the page. */
import assert from 'node:assert/strict';
import { PASSWORD } from './support/account.mjs';
import { stage } from './support/stage.mjs';

const test = stage();

/** Presses of Tab after which something is out of reach. */
const REACH = 80;

/** Counts what a pointer would cause. Runs before the page. */
function countPointers() {
  globalThis.pointers = 0;
  for (const type of ['pointerdown', 'mousedown', 'touchstart', 'wheel']) addEventListener(type, () => (globalThis.pointers += 1), { capture: true, passive: true });
}

/** Somebody whom a pointer helped to sign up, and helps no more. */
async function keyPerson(scene) {
  const person = await scene.person('Ada', { init: countPointers });
  await person.page.evaluate(() => (globalThis.pointers = 0));
  return person;
}

/** Goes on with Tab until the focus is on what is called so. */
async function tabTo(page, name, key = 'Tab') {
  const passed = [];
  for (let press = 0; press < REACH; press += 1) {
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      const label = element?.labels?.[0]?.textContent;
      return (element?.getAttribute('aria-label') ?? label ?? element?.textContent ?? '').trim();
    });
    if (focused === name || (name instanceof RegExp && name.test(focused))) return;
    passed.push(focused.slice(0, 30));
    await page.keyboard.press(key);
  }
  throw new Error(`Tab does not reach ${name}; it passed ${passed.join(' | ')}`);
}

/** Waits until the focus is on what matches. */
const focusOn = (page, selector) => page.waitForFunction((wanted) => document.activeElement?.matches(wanted), selector);

test('sign up, start a chat, send, react, edit, switch rooms and sign out without a pointer', async (scene) => {
  const bob = await scene.account('Bob');
  const ada = await scene.stranger('Ada', { init: countPointers });
  const { page } = ada;
  const { keyboard } = page;
  await page.goto(`${ada.address}/`);
  await focusOn(page, 'input[autocomplete="username"]');
  await tabTo(page, 'Create account');
  await keyboard.press('Enter');
  await focusOn(page, 'input[autocomplete="name"]');
  await keyboard.type(ada.displayName);
  await keyboard.press('Tab');
  await keyboard.type(ada.username);
  await keyboard.press('Tab');
  await keyboard.type(PASSWORD);
  await keyboard.press('Enter');
  await ada.isIn();

  // A chat.
  await keyboard.press('Control+Shift+k');
  await focusOn(page, '[role="dialog"] input[type="search"]');
  await keyboard.type(bob.username);
  await page.getByRole('option', { name: bob.displayName }).waitFor();
  await tabTo(page, new RegExp(bob.displayName));
  await keyboard.press('Enter');
  await page.locator('[role="option"][aria-selected="true"]').waitFor();
  await tabTo(page, 'Start chat');
  await keyboard.press('Enter');
  await focusOn(page, '[data-region="composer"] textarea');
  await keyboard.type('hello from the keys');
  await keyboard.press('Enter');
  await ada.state('hello from the keys', 'sent');

  // A reaction: up into the messages, their single keys, the picker.
  await bob.write(ada.roomId(), ['good to hear']);
  await ada.sees('good to hear');
  await keyboard.press('Shift+F6');
  await focusOn(page, '[data-region="timeline"] article');
  await keyboard.press('End');
  await page.waitForFunction(() => document.activeElement?.getAttribute('aria-label')?.includes('good to hear'));
  await keyboard.press('+');
  await focusOn(page, '[role="dialog"] input[role="combobox"]');
  await keyboard.type('thumbs up');
  await page.getByRole('option', { name: /thumbs up/i }).first().waitFor();
  await keyboard.press('Enter');
  await ada.message('good to hear').getByRole('button', { name: '👍 1 reaction' }).waitFor();

  // An edit.
  await focusOn(page, 'article, article button');
  await keyboard.press('Escape');
  await keyboard.press('F6');
  await focusOn(page, '[data-region="composer"] textarea');
  await keyboard.press('ArrowUp');
  await page.waitForFunction(() => document.activeElement.value === 'hello from the keys');
  await keyboard.press('End');
  await keyboard.type('!');
  await keyboard.press('Enter');
  await ada.message('hello from the keys!').getByText('edited').waitFor();

  // Another room, and back by the switcher.
  const cleo = await scene.account('Cleo');
  await cleo.write(await cleo.direct(await cleo.find(ada.username)), ['over here']);
  await ada.room(cleo.displayName).getByText('1 unread message').waitFor();
  await keyboard.press('Alt+Shift+ArrowDown');
  await page.getByRole('heading', { level: 1, name: cleo.displayName }).waitFor();
  await ada.sees('over here');
  await focusOn(page, '[data-region="composer"] textarea');
  await keyboard.press('Control+k');
  await focusOn(page, 'input[role="combobox"]');
  await keyboard.type(bob.username.slice(0, 3));
  await page.getByRole('option', { name: bob.displayName }).waitFor();
  await keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: bob.displayName }).waitFor();
  await focusOn(page, '[data-region="composer"] textarea');

  // Out.
  await tabTo(page, 'Your menu', 'Shift+Tab');
  await keyboard.press('Enter');
  await page.getByRole('menuitem', { name: 'Settings' }).waitFor();
  await keyboard.press('End');
  await keyboard.press('Enter');
  await page.getByRole('alertdialog', { name: 'Sign out?' }).waitFor();
  await tabTo(page, 'Sign out');
  await keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Good to see you' }).waitFor();
  assert.equal(await page.evaluate(() => globalThis.pointers), 0);
});

test('F6 goes through the parts of the page, arrow keys through rooms and messages, one place of each in the tab order', async (scene) => {
  const ada = await keyPerson(scene);
  const { page } = ada;
  const me = await scene.accountOf(ada);
  const rooms = [await me.group(scene.name('First')), await me.group(scene.name('Second'))];
  await me.write(rooms[1], ['one', 'two', 'three']);
  await ada.goto(`#/room/${rooms[1]}`);
  await ada.sees('three');
  const region = () => page.evaluate(() => document.activeElement?.closest('[data-region]')?.dataset.region);
  const visited = [];
  for (let press = 0; press < 3; press += 1) {
    await page.keyboard.press('F6');
    visited.push(await region());
  }
  assert.deepEqual(visited, ['rooms', 'timeline', 'composer']);
  await page.keyboard.press('Control+F6');
  await page.keyboard.press('F6');
  await focusOn(page, '[data-region="timeline"] article');
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.waitForFunction(() => /two/.test(document.activeElement?.getAttribute('aria-label') ?? ''));
  assert.equal(await ada.timeline.locator('article[tabindex="0"]').count(), 1);
  await page.keyboard.press('Delete');
  await page.getByRole('alertdialog', { name: 'Delete this message?' }).waitFor();
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => /two/.test(document.activeElement?.getAttribute('aria-label') ?? ''));
  await page.keyboard.press('Shift+F6');
  await focusOn(page, 'a[data-room]');
  assert.equal(await page.locator('a[data-room][tabindex="0"]').count(), 1);
  await page.keyboard.press('ArrowDown');
  await page.waitForFunction((room) => document.activeElement?.dataset.room === room, rooms[0]);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: scene.name('First') }).waitFor();
  assert.equal(await page.evaluate(() => globalThis.pointers), 0);
});

test('Escape marks a room read, and single keys can be turned off', async (scene) => {
  const ada = await keyPerson(scene);
  const { page } = ada;
  const bob = await scene.account('Bob');
  const room = await bob.direct(await bob.find(ada.username));
  await bob.write(room, Array.from({ length: 80 }, (_, index) => `line ${index + 1}.`));
  await ada.room(bob.displayName).getByText('80 unread messages').waitFor();
  await ada.goto(`#/room/${room}`);
  await ada.timeline.locator('[data-new-line]').waitFor();
  await page.keyboard.press('Escape');
  await ada.timeline.locator('[data-new-line]').waitFor({ state: 'detached' });
  await ada.room(bob.displayName).getByText(/unread/).waitFor({ state: 'detached' });
  await ada.goto('#/settings/keyboard');
  await tabTo(page, 'Shortcuts of a single key');
  await page.keyboard.press('Space');
  await page.getByRole('switch', { name: 'Shortcuts of a single key', checked: false }).waitFor();
  await ada.goto(`#/room/${room}`);
  await ada.sees('line 80.');
  await page.keyboard.press('F6');
  await page.keyboard.press('F6');
  await focusOn(page, '[data-region="timeline"] article');
  await page.keyboard.press('r');
  await page.keyboard.press('t');
  assert.equal(await page.locator('.composer-context, [data-region="panel"]').count(), 0);
  assert.equal(await page.evaluate(() => globalThis.pointers), 0);
});
