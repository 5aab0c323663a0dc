/** What becomes of a message shows on it: sending, sent, delivered, read, or not sent, with a way on. */
import assert from 'node:assert/strict';
import { eventually } from './support/account.mjs';
import { stage } from './support/stage.mjs';

const test = stage();

test('a message is sending, sent, delivered and read, one after the other', async (scene) => {
  const wire = await scene.wire();
  const ada = await scene.person('Ada', { wire });
  const bob = await scene.account('Bob');
  await ada.chatWith(bob);
  await ada.write('are you there?');
  await ada.state('are you there?', 'sent');
  wire.hold();
  await ada.write('and this?');
  await ada.state('and this?', 'sending');
  wire.release();
  await ada.state('and this?', 'sent');
  // Bob comes, and does not look at the room yet.
  const there = await scene.device(bob);
  await there.room(ada.displayName).getByText('and this?').waitFor();
  await ada.write('welcome');
  await ada.state('welcome', 'delivered');
  await there.openRoom(ada.displayName);
  for (const text of ['welcome', 'and this?', 'are you there?']) await ada.state(text, 'read');
  assert.match(await ada.message('welcome').getAttribute('aria-label'), /, read$/);
});

test('in a group it is read when all have read it', async (scene) => {
  const [ada, bob, cleo] = [await scene.person('Ada'), await scene.person('Bob'), await scene.person('Cleo')];
  await ada.createGroup(scene.name('Team'), [bob, cleo]);
  await ada.write('please read');
  await ada.state('please read', 'delivered');
  await bob.openRoom(scene.name('Team'));
  await bob.sees('please read');
  await ada.message('please read').last().hover();
  assert.match(await ada.message('please read').getAttribute('aria-label'), /, delivered$/);
  await cleo.openRoom(scene.name('Team'));
  await ada.state('please read', 'read');
});

test('who does not show what they read is not told as a reader', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await bob.goto('#/settings/profile');
  await bob.page.getByRole('switch', { name: 'Show others what I have read' }).click();
  await bob.page.getByRole('switch', { name: 'Show others what I have read', checked: false }).waitFor();
  await ada.chatWith(bob);
  await ada.write('secretly read');
  await bob.openRoom(ada.displayName);
  await bob.sees('secretly read');
  const he = await scene.accountOf(bob);
  await eventually(1, async () => (await he.room(bob.roomId())).read_ordinal);
  // What he does next is there, what he has read is not.
  await bob.composer.pressSequentially('hm');
  await ada.page.locator('.typing').getByText('is writing…').waitFor();
  await ada.state('secretly read', 'delivered');
  assert.equal(await ada.message('secretly read').locator('[title="read"]').count(), 0);
});

test('what the server refuses says why, and can be sent again or given up', async (scene) => {
  const ada = await scene.person('Ada');
  const bob = await scene.account('Bob');
  await ada.chatWith(bob);
  await bob.call('PUT', `/blocks/${await bob.find(ada.username)}`);
  await ada.write('hello?');
  const failed = ada.message('hello?');
  await failed.getByText('Not sent. This person does not take messages from you.').waitFor();
  await ada.state('hello?', 'not sent');
  await ada.room(bob.displayName).getByRole('img', { name: 'Something was not sent' }).waitFor();
  await ada.write('never mind');
  await ada.message('never mind').getByRole('button', { name: 'Discard' }).click();
  await ada.missing('never mind');
  await bob.call('DELETE', `/blocks/${await bob.find(ada.username)}`);
  await failed.getByRole('button', { name: 'Try again' }).click();
  await ada.state('hello?', 'sent');
  await ada.room(bob.displayName).getByRole('img', { name: 'Something was not sent' }).waitFor({ state: 'detached' });
  assert.deepEqual(await bob.texts(ada.roomId()), ['hello?']);
});

test('a lost connection is told quietly, with what waits', async (scene) => {
  const ada = await scene.person('Ada', { wire: true });
  const bob = await scene.account('Bob');
  await ada.chatWith(bob);
  await ada.goOffline();
  await ada.page.getByRole('status').getByText('You are offline. You can read and write; it is sent later.').waitFor();
  await ada.write('in the tunnel');
  await ada.state('in the tunnel', 'waiting to be sent');
  await ada.page.getByRole('status').getByText('1 message waits.').waitFor();
  await ada.goOnline();
  await ada.state('in the tunnel', 'sent');
  await ada.page.getByText('You are offline.').waitFor({ state: 'detached' });
});
