/** axe finds nothing in any view, in both themes, on the real server. */
import assert from 'node:assert/strict';
import { violations } from './support/axe.mjs';
import { stage } from './support/stage.mjs';

const test = stage();

const THEMES = ['light', 'dark'];

/** Looks at what the page shows now, in both themes. */
async function clean(person, view) {
  for (const colorScheme of THEMES) {
    await person.page.emulateMedia({ colorScheme });
    // Colours are judged when they stand still.
    await person.page.evaluate(() => Promise.all(document.getAnimations().map((one) => (one.effect?.getTiming().iterations === Infinity ? undefined : one.finished.catch(() => undefined)))));
    assert.deepEqual(await violations(person.page), [], `${view}, ${colorScheme}`);
  }
}

test('before one is in', async (scene) => {
  const ada = await scene.stranger('Ada');
  await ada.page.goto(`${ada.address}/`);
  await ada.page.getByRole('button', { name: 'Sign in' }).waitFor();
  await clean(ada, 'sign in');
  await ada.signIn('wrong');
  await ada.page.getByRole('alert').waitFor();
  await clean(ada, 'sign in, refused');
  await ada.page.getByRole('link', { name: 'Create account' }).click();
  await ada.page.getByLabel('Name', { exact: true }).waitFor();
  await clean(ada, 'sign up');
});

test('pages beside the rooms', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.account('Bob')];
  await clean(ada, 'no rooms');
  await bob.call('PUT', `/friends/${await bob.find(ada.username)}`);
  await bob.group(scene.name('Open house'), [], 'public');
  for (const [fragment, shown] of [['#/people', 'Want to be your friend'], ['#/explore', scene.name('Open house')], ['#/settings/profile', 'Status'], ['#/settings/look', 'Density'], ['#/settings/notifications', 'Play a sound'], ['#/settings/keyboard', 'Send with'], ['#/settings/account', 'Present password'], ['#/settings/sessions', 'This device'], ['#/room/nowhere', 'This room is not there']]) {
    await ada.goto(fragment);
    await ada.page.locator('main').getByText(shown).first().waitFor();
    await clean(ada, fragment);
  }
});

test('a room, its panels and what is said in it', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.account('Bob')];
  const me = await scene.accountOf(ada);
  const room = await me.group(scene.name('Team'), [bob.id]);
  const [root] = await bob.write(room, ['**start** of `it` with https://example.org', '> quote\n- list', '```js\nlet code;\n```', `@${ada.username} look`]);
  await bob.write(room, ['in the thread'], { thread: root });
  await bob.write(room, ['an answer'], { reply_to: root });
  await ada.goto(`#/room/${room}`);
  await ada.sees('an answer');
  await ada.act('an answer', 'React with 👍');
  await ada.message('an answer').getByRole('button', { name: '👍 1 reaction' }).waitFor();
  await clean(ada, 'room');
  await ada.goto(`#/room/${room}/thread/${root}`);
  await ada.page.locator('[data-region="panel"]').getByText('1 reply').waitFor();
  await clean(ada, 'thread');
  await ada.goto(`#/room/${room}/members`);
  await ada.page.getByRole('complementary', { name: 'Members' }).getByText(bob.displayName).waitFor();
  await clean(ada, 'members');
  await ada.act('an answer', 'Reply');
  await ada.composer.fill('ask @bo');
  await ada.composer.press('End');
  await ada.composer.press('b');
  await ada.page.getByRole('listbox', { name: 'People to mention' }).waitFor();
  await clean(ada, 'mention');
});

test('what opens over the page', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.account('Bob')];
  const me = await scene.accountOf(ada);
  const room = await me.group(scene.name('Team'), [bob.id]);
  await me.write(room, ['mine']);
  await ada.goto(`#/room/${room}`);
  await ada.sees('mine');
  const { page } = ada;
  const dialog = page.locator('[role="dialog"], [role="alertdialog"], [role="menu"]');
  const views = {
    switcher: () => page.keyboard.press('Control+k'),
    shortcuts: () => page.keyboard.press('Control+/'),
    'new chat': () => page.keyboard.press('Control+Shift+k'),
    'new group': async () => {
      await page.keyboard.press('Control+Shift+k');
      await page.getByRole('button', { name: 'Group', exact: true }).click();
      await page.getByLabel('Name of the room').waitFor();
    },
    'room menu': () => page.getByRole('button', { name: 'Room menu' }).click(),
    'room settings': () => ada.roomMenu('Room settings'),
    'add people': () => ada.roomMenu('Add people'),
    leave: () => ada.roomMenu('Leave room'),
    emoji: () => page.locator('.composer').getByRole('button', { name: 'Emoji' }).click(),
    'message menu': () => ada.act('mine', 'More'),
    delete: () => ada.menuOf('mine', 'Delete'),
    'sign out': async () => {
      await page.getByRole('button', { name: 'Your menu' }).click();
      await page.getByRole('menuitem', { name: 'Sign out' }).click();
    },
  };
  for (const [view, open] of Object.entries(views)) {
    await open();
    await dialog.last().waitFor();
    if (view !== 'room menu' && view !== 'message menu') await page.locator('[role="menu"]').waitFor({ state: 'detached' });
    await clean(ada, view);
    await page.keyboard.press('Escape');
    await dialog.first().waitFor({ state: 'detached' });
  }
});

test('trouble: offline, and a message that was refused', async (scene) => {
  const [ada, bob] = [await scene.person('Ada', { wire: true }), await scene.account('Bob')];
  await ada.chatWith(bob);
  await bob.call('PUT', `/blocks/${await bob.find(ada.username)}`);
  await ada.write('refused');
  await ada.message('refused').getByRole('button', { name: 'Try again' }).waitFor();
  await ada.goOffline();
  await ada.page.getByText('You are offline.').waitFor();
  await clean(ada, 'offline');
});

test('on a phone', async (scene) => {
  const ada = await scene.person('Ada', { viewport: { width: 360, height: 740 }, hasTouch: true });
  const me = await scene.accountOf(ada);
  const room = await me.group(scene.name('Team'));
  await me.write(room, ['mine']);
  await ada.room(scene.name('Team')).waitFor();
  await clean(ada, 'rooms');
  await ada.goto(`#/room/${room}`);
  await ada.sees('mine');
  await clean(ada, 'room');
  await ada.goto(`#/room/${room}/members`);
  await ada.page.locator('[data-region="panel"]').getByText('1 member').waitFor();
  await clean(ada, 'members');
});
