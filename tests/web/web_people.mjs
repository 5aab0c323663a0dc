/** People: friends, requests, blocks, members, roles and what a room's owner can change. */
import assert from 'node:assert/strict';
import { stage } from './support/stage.mjs';

const test = stage();

async function findOnPeoplePage(person, other) {
  await person.page.getByRole('link', { name: /^People/ }).click();
  await person.page.getByRole('searchbox', { name: 'Find people by name' }).fill(other.username);
  return person.page.getByRole('region', { name: 'Found' }).getByRole('listitem').filter({ hasText: other.displayName });
}

const group = (person, name) => person.page.getByRole('region', { name, exact: true });

test('a friend is asked, accepts, and is a friend no more', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await ada.page.getByRole('link', { name: /^People/ }).click();
  await ada.page.getByText('No friends yet').waitFor();
  const found = await findOnPeoplePage(ada, bob);
  await found.getByRole('button', { name: 'Add friend' }).click();
  await group(ada, 'Asked by you').getByText(bob.displayName).waitFor();
  await bob.page.getByRole('link', { name: 'People 1 friend request' }).click();
  await group(bob, 'Want to be your friend').getByRole('button', { name: 'Accept' }).click();
  await group(bob, 'Friends').getByText(ada.displayName).waitFor();
  await group(ada, 'Friends').getByText(bob.displayName).waitFor();
  await group(ada, 'Friends').getByRole('button', { name: `Actions for ${bob.displayName}` }).click();
  await ada.page.getByRole('menuitem', { name: 'End friendship' }).click();
  await group(ada, 'Friends').waitFor({ state: 'detached' });
  await group(bob, 'Friends').waitFor({ state: 'detached' });
});

test('a request is declined, and one is withdrawn', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await (await findOnPeoplePage(ada, bob)).getByRole('button', { name: 'Add friend' }).click();
  await bob.page.getByRole('link', { name: 'People 1 friend request' }).click();
  await group(bob, 'Want to be your friend').getByRole('button', { name: 'Decline' }).click();
  await group(ada, 'Asked by you').waitFor({ state: 'detached' });
  await (await findOnPeoplePage(ada, bob)).getByRole('button', { name: 'Add friend' }).click();
  await group(bob, 'Want to be your friend').waitFor();
  await group(ada, 'Asked by you').getByRole('button', { name: 'Withdraw' }).click();
  await group(bob, 'Want to be your friend').waitFor({ state: 'detached' });
});

test('who is blocked cannot write; taken back, they can', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await ada.chatWith(bob);
  await ada.write('first');
  await bob.openRoom(ada.displayName);
  await bob.sees('first');
  await bob.roomMenu('Block');
  await bob.page.getByRole('alertdialog', { name: `Block ${ada.displayName}?` }).getByRole('button', { name: 'Block' }).click();
  await bob.page.getByRole('alertdialog').waitFor({ state: 'detached' });
  await ada.write('second');
  await ada.message('second').getByText('This person does not take messages from you.').waitFor();
  await bob.page.getByRole('link', { name: /^People/ }).click();
  await group(bob, 'Blocked').getByRole('button', { name: 'Unblock' }).click();
  await group(bob, 'Blocked').waitFor({ state: 'detached' });
  await ada.message('second').getByRole('button', { name: 'Try again' }).click();
  await ada.state('second', 'sent');
});

test('the member list finds, adds and removes, and gives roles', async (scene) => {
  const [ada, bob, cleo] = [await scene.person('Ada'), await scene.person('Bob'), await scene.person('Cleo')];
  await ada.createGroup(scene.name('Team'), [bob]);
  await bob.openRoom(scene.name('Team'));
  await ada.page.getByRole('button', { name: 'Members' }).click();
  const panel = ada.page.locator('[data-region="panel"]');
  await panel.getByText('2 members').waitFor();
  await panel.getByRole('button', { name: 'Add people' }).click();
  await ada.page.getByRole('dialog').getByRole('searchbox').fill(cleo.username);
  await ada.page.getByRole('option', { name: cleo.displayName }).click();
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click();
  await panel.getByText('3 members').waitFor();
  await cleo.room(scene.name('Team')).waitFor();
  await bob.sees(`added \u2068${cleo.displayName}\u2069`);
  await panel.getByRole('searchbox', { name: 'Find a member' }).fill(bob.username);
  const line = panel.locator('.person');
  await line.filter({ hasText: cleo.displayName }).waitFor({ state: 'detached' });
  await line.getByRole('button', { name: `Actions for ${bob.displayName}` }).click();
  await ada.page.getByRole('menuitem', { name: 'Make admin' }).click();
  await line.getByText('admin', { exact: true }).waitFor();
  await bob.sees('made');
  // An admin may remove members, and nobody above.
  await bob.page.getByRole('button', { name: 'Members' }).click();
  await bob.page.getByRole('button', { name: `Actions for ${ada.displayName}` }).click();
  await bob.page.getByRole('menuitem', { name: 'Write a message' }).waitFor();
  assert.equal(await bob.page.getByRole('menuitem').count(), 1);
  await bob.page.keyboard.press('Escape');
  await bob.page.getByRole('button', { name: `Actions for ${cleo.displayName}` }).click();
  await bob.page.getByRole('menuitem', { name: 'Remove from room' }).click();
  await cleo.room(scene.name('Team')).waitFor({ state: 'detached' });
  await ada.sees(`removed \u2068${cleo.displayName}\u2069`);
});

test('an owner renames, opens and deletes a room; a member may only look', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await ada.createGroup(scene.name('Old name'), [bob]);
  await bob.openRoom(scene.name('Old name'));
  await ada.roomMenu('Room settings');
  const dialog = ada.page.getByRole('dialog', { name: 'Room settings' });
  await dialog.getByLabel('Name of the room').fill(scene.name('New name'));
  await dialog.getByRole('radio', { name: 'Public' }).check();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await bob.page.getByRole('heading', { level: 1, name: scene.name('New name') }).waitFor();
  await bob.roomMenu('Room settings');
  const his = bob.page.getByRole('dialog', { name: 'Room settings' });
  await his.getByText('Owners and admins can change it.').waitFor();
  assert.equal(await his.getByRole('button', { name: 'Save' }).count(), 0);
  await his.getByRole('button', { name: 'Close' }).click();
  // The last owner cannot just go.
  await ada.roomMenu('Leave room');
  await ada.page.getByRole('alertdialog').getByRole('button', { name: 'Leave room' }).click();
  await ada.page.getByRole('alertdialog').getByText('You are the last owner. Make somebody else owner first.').waitFor();
  await ada.page.getByRole('alertdialog').getByRole('button', { name: 'Cancel' }).click();
  await ada.roomMenu('Room settings');
  await dialog.getByRole('button', { name: 'Delete room' }).click();
  await ada.page.getByRole('alertdialog').getByRole('button', { name: 'Delete room' }).click();
  await ada.room(scene.name('New name')).waitFor({ state: 'detached' });
  await bob.page.getByRole('heading', { name: 'This room is not there' }).waitFor();
});
