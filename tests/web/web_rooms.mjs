/** The room list and the ways to a room: what waits, who is there, what is muted, hidden, public or gone. */
import assert from 'node:assert/strict';
import { stage } from './support/stage.mjs';

const test = stage();

test('the list tells unread, the last message and who is there, the latest room first', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  const cleo = await scene.account('Cleo');
  await ada.chatWith(bob);
  await ada.write('one **bold** word');
  await ada.write('and another');
  const line = bob.room(ada.displayName);
  await line.getByText('2 unread messages').waitFor();
  await line.getByText('and another').waitFor();
  await line.getByText('Online').waitFor();
  // The title follows a moment later.
  await bob.page.waitForFunction(() => document.title.startsWith('• '));
  await cleo.write(await cleo.direct(await cleo.find(bob.username)), ['from cleo']);
  await bob.room(cleo.displayName).getByText('1 unread message').waitFor();
  assert.deepEqual(await bob.page.locator('a[data-room] .room-line-title').allTextContents(), [cleo.displayName, ada.displayName]);
  await bob.openRoom(ada.displayName);
  await bob.sees('one bold word');
  await line.getByText(/unread/).waitFor({ state: 'detached' });
  await ada.context.close();
  await line.getByText('Offline').waitFor();
  await bob.write('gone?');
  await line.getByText('You: gone?').waitFor();
});

test('a mention is counted apart, and a muted room stays quiet', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await ada.createGroup(scene.name('Team'), [bob]);
  const line = bob.room(scene.name('Team'));
  await ada.write(`look @${bob.username} here`);
  await line.getByText('1 mention').waitFor();
  await bob.page.waitForFunction(() => document.title.startsWith('(1) '));
  await bob.openRoom(scene.name('Team'));
  await line.getByText('1 mention').waitFor({ state: 'detached' });
  await bob.roomMenu('Mute');
  await line.getByRole('img', { name: 'muted' }).waitFor();
  await bob.goto('#/');
  await ada.write('nobody is disturbed');
  await line.getByText('1 unread message').waitFor();
  await bob.page.waitForFunction(() => document.title === 'Klatch');
  await line.click();
  await bob.roomMenu('Mentions only');
  await line.getByRole('img', { name: 'muted' }).waitFor({ state: 'detached' });
  await bob.goto('#/');
  await ada.write('@room all of you');
  await line.getByText('1 mention').waitFor();
});

test('a room is marked unread, hidden, and shown again', async (scene) => {
  const ada = await scene.person('Ada');
  const bob = await scene.account('Bob');
  await ada.chatWith(bob);
  await ada.roomMenu('Mark unread');
  const line = ada.room(bob.displayName);
  await line.getByText('marked unread').waitFor();
  await ada.openRoom(bob.displayName);
  await line.getByText('marked unread').waitFor({ state: 'detached' });
  await ada.roomMenu('Hide from list');
  await line.waitFor({ state: 'detached' });
  await ada.page.getByRole('button', { name: 'Show 1 hidden room' }).click();
  await ada.openRoom(bob.displayName);
  await ada.roomMenu('Show in list');
  await ada.page.getByRole('button', { name: /hidden room/ }).waitFor({ state: 'detached' });
  await line.waitFor();
});

test('the quick switcher goes to a room by some letters, and to somebody new', async (scene) => {
  const ada = await scene.person('Ada');
  const bob = await scene.account('Bob');
  const me = await scene.accountOf(ada);
  await me.group(scene.name('Coffee machine'));
  await me.group(scene.name('Garden'));
  await ada.room(scene.name('Garden')).waitFor();
  await ada.page.getByRole('button', { name: 'Find a room or person' }).click();
  await ada.page.getByRole('combobox', { name: 'Go to a room or person' }).fill('cof');
  await ada.page.getByRole('option', { name: scene.name('Coffee machine') }).click();
  await ada.page.getByRole('heading', { level: 1, name: scene.name('Coffee machine') }).waitFor();
  await ada.page.keyboard.press('Control+k');
  await ada.page.getByRole('combobox', { name: 'Go to a room or person' }).fill(bob.username);
  await ada.page.getByRole('option', { name: bob.displayName }).click();
  await ada.page.getByRole('heading', { level: 1, name: bob.displayName }).waitFor();
  await ada.page.keyboard.press('Control+k');
  await ada.page.getByRole('combobox', { name: 'Go to a room or person' }).fill('qqqqqq');
  await ada.page.getByText('Nothing found').waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.page.getByRole('dialog').waitFor({ state: 'detached' });
});

test('a public room is found, joined and left', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await ada.createGroup(scene.name('Open house'), [], { visibility: 'Public' });
  await ada.write('welcome all');
  await bob.page.getByRole('link', { name: 'Explore' }).click();
  await bob.page.getByRole('searchbox', { name: 'Find public rooms' }).fill('no room is called so');
  await bob.page.getByText('No public rooms found').waitFor();
  await bob.page.getByRole('searchbox', { name: 'Find public rooms' }).fill(scene.name('Open house'));
  await bob.page.getByRole('button', { name: `Join ${scene.name('Open house')}` }).click();
  await bob.sees('welcome all');
  // What was written before one came is no news.
  assert.equal(await bob.timeline.locator('[data-new-line]').count(), 0);
  await bob.page.getByRole('link', { name: 'People' }).click();
  assert.equal(await bob.room(scene.name('Open house')).getByText(/unread/).count(), 0);
  await bob.openRoom(scene.name('Open house'));
  await ada.sees(`${bob.displayName}`);
  await bob.roomMenu('Leave room');
  await bob.page.getByRole('alertdialog').getByRole('button', { name: 'Leave room' }).click();
  await bob.room(scene.name('Open house')).waitFor({ state: 'detached' });
});

test('a room that is not there says so and leads back', async (scene) => {
  const ada = await scene.person('Ada');
  await ada.goto('#/room/nowhere');
  await ada.page.getByRole('heading', { name: 'This room is not there' }).waitFor();
  await ada.page.getByRole('button', { name: 'Back to your rooms' }).click();
  await ada.page.getByText('Welcome to Klatch').waitFor();
});

test('who is removed loses the room while looking at it', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await ada.createGroup(scene.name('Short visit'), [bob]);
  await ada.write('before');
  await bob.openRoom(scene.name('Short visit'));
  await bob.sees('before');
  await ada.page.getByRole('button', { name: 'Members' }).click();
  await ada.page.getByRole('button', { name: `Actions for ${bob.displayName}` }).click();
  await ada.page.getByRole('menuitem', { name: 'Remove from room' }).click();
  await bob.page.getByRole('heading', { name: 'This room is not there' }).waitFor();
  await bob.room(scene.name('Short visit')).waitFor({ state: 'detached' });
});
