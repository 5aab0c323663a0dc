/** One person, several devices and tabs: they agree, and what was read stays read. */
import assert from 'node:assert/strict';
import { eventually } from './support/account.mjs';
import { stage } from './support/stage.mjs';

const test = stage();

const lines = (count, word = 'line') => Array.from({ length: count }, (_, index) => `${word} ${index + 1}.`);

test('what is read on one device is read on the other, and the mark never goes back', async (scene) => {
  const ada = await scene.person('Ada');
  const bob = await scene.account('Bob');
  const room = await bob.direct(await bob.find(ada.username));
  await bob.write(room, lines(120));
  const phone = await scene.device(ada);
  for (const device of [ada, phone]) await device.room(bob.displayName).getByText('120 unread messages').waitFor();
  // The phone stops half way.
  await phone.openRoom(bob.displayName);
  await phone.timeline.locator('[data-new-line]').waitFor();
  const marks = [];
  const me = await scene.accountOf(ada);
  const mark = async () => marks.push((await me.room(room)).read_ordinal);
  await mark();
  await ada.openRoom(bob.displayName);
  await ada.page.getByRole('button', { name: /Latest messages|new messages?$/ }).click();
  await ada.sees('line 120.');
  for (const device of [ada, phone]) await device.room(bob.displayName).getByText(/unread/).waitFor({ state: 'detached' });
  await mark();
  // Looking at what is old, on either device, is no reading.
  await phone.timeline.hover();
  await phone.page.mouse.wheel(0, -5_000);
  await phone.sees('line 1.');
  await phone.page.mouse.wheel(0, 600);
  await phone.page.reload();
  await phone.sees('line 1');
  await bob.write(room, ['news']);
  await ada.sees('news');
  await phone.room(bob.displayName).getByText('news').waitFor();
  await mark();
  assert.deepEqual([...marks].sort((one, other) => one - other), marks);
  await ada.room(bob.displayName).getByText(/unread/).waitFor({ state: 'detached' });
});

test('a device that comes late with an old mark takes nothing back', async (scene) => {
  const wire = await scene.wire();
  const ada = await scene.person('Ada');
  const bob = await scene.account('Bob');
  const room = await bob.direct(await bob.find(ada.username));
  await bob.write(room, lines(40));
  const phone = await scene.device(ada, { wire });
  await phone.room(bob.displayName).getByText('40 unread messages').waitFor();
  wire.isDown = true;
  wire.cut();
  // Read on the phone without a network, up to here; meanwhile more comes and is read elsewhere.
  await phone.openRoom(bob.displayName);
  await phone.page.keyboard.press('Escape');
  await phone.room(bob.displayName).getByText(/unread/).waitFor({ state: 'detached' });
  await bob.write(room, lines(10, 'later'));
  await ada.openRoom(bob.displayName);
  await ada.page.getByRole('button', { name: /Latest messages|new messages?$/ }).click();
  await ada.sees('later 10.');
  await ada.room(bob.displayName).getByText(/unread/).waitFor({ state: 'detached' });
  wire.isDown = false;
  await phone.sees('later 10.').catch(() => phone.room(bob.displayName).getByText('later 10.').waitFor());
  await phone.write('the phone is back');
  await ada.sees('the phone is back');
  const me = await scene.accountOf(ada);
  await eventually(51, async () => (await me.room(room)).read_ordinal);
  for (const device of [ada, phone]) assert.equal(await device.room(bob.displayName).getByText(/unread/).count(), 0);
});

test('what one device sends, edits and reacts to shows on the other as one’s own', async (scene) => {
  const ada = await scene.person('Ada');
  const bob = await scene.account('Bob');
  const phone = await scene.device(ada);
  await ada.chatWith(bob);
  await ada.write('from the desk');
  await phone.openRoom(bob.displayName);
  await phone.menuOf('from the desk', 'Edit');
  await phone.write('from the phone');
  await ada.message('from the phone').getByText('edited').waitFor();
  await phone.act('from the phone', 'React with 👍');
  const chip = ada.message('from the phone').getByRole('button', { name: '👍 1 reaction' });
  await chip.waitFor();
  await ada.page.waitForFunction(() => document.querySelector('.reaction')?.getAttribute('aria-pressed') === 'true');
});

test('of several tabs one leads; when it is closed another takes over with everything that waits', async (scene) => {
  const wire = await scene.wire();
  const ada = await scene.person('Ada', { wire });
  const bob = await scene.account('Bob');
  await ada.chatWith(bob);
  await ada.write('first');
  await ada.state('first', 'sent');
  const before = wire.sockets;
  const tab = await ada.tab(`#/room/${ada.roomId()}`);
  await tab.sees('first');
  await tab.write('from the second tab');
  await ada.sees('from the second tab');
  await ada.state('from the second tab', 'sent');
  assert.equal(wire.sockets, before, 'the second tab has no socket of its own');
  wire.isDown = true;
  wire.cut();
  await tab.write('while the line is down');
  await tab.message('while the line is down').locator('[title="sending"], [title="waiting to be sent"]').waitFor();
  await ada.page.close();
  wire.isDown = false;
  await tab.state('while the line is down', 'sent');
  assert.deepEqual(await bob.texts(tab.roomId()), ['first', 'from the second tab', 'while the line is down']);
});
