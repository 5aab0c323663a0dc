/** Accounts and devices: signing up, in and out, and what a sign-out leaves behind. */
import assert from 'node:assert/strict';
import { PASSWORD } from './support/account.mjs';
import { stage } from './support/stage.mjs';

const test = stage();

test('signing up says what is wrong and lets one in when it is right', async (scene) => {
  const taken = await scene.account('taken');
  const ada = await scene.stranger('Ada');
  const { page } = ada;
  await page.goto(`${ada.address}/#/sign-up`);
  await page.getByLabel('Name', { exact: true }).fill(ada.displayName);
  await page.getByLabel('User name').fill(taken.username);
  const password = page.getByLabel('Password', { exact: true });
  await password.fill('password');
  await password.press('Enter');
  await page.getByRole('alert').getByText('This password is too easy to guess. Take a longer one.').waitFor();
  await page.getByRole('button', { name: 'Show password' }).click();
  assert.equal(await password.getAttribute('type'), 'text');
  await password.fill(PASSWORD);
  await password.press('Enter');
  await page.getByRole('alert').getByText('This user name is taken. Choose another.').waitFor();
  await page.getByLabel('User name').fill(ada.username);
  await page.getByRole('button', { name: 'Create account' }).click();
  await ada.isIn();
  await page.getByText('No chats yet').waitFor();
  await page.getByText('Welcome to Klatch').waitFor();
});

test('a wrong password is told; the right one lets in, and a reload stays in', async (scene) => {
  await scene.account('ada');
  const ada = await scene.stranger('Ada');
  await ada.signIn('not the password');
  await ada.page.getByRole('alert').getByText('User name or password is wrong.').waitFor();
  await ada.signIn();
  await ada.isIn();
  await ada.page.reload();
  await ada.isIn();
  const kept = await ada.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.ok(!/eyJ|token/i.test(kept), `no token where a script could read it: ${kept}`);
});

test('devices are listed; one that is put out is signed out at once', async (scene) => {
  const ada = await scene.person('Ada');
  const phone = await scene.device(ada);
  await ada.goto('#/settings/sessions');
  const others = ada.page.getByRole('button', { name: /^Sign out / });
  await ada.page.getByText('This device').waitFor();
  await others.first().waitFor();
  assert.equal(await others.count(), 1);
  await others.click();
  await phone.page.getByText('This device was signed out, here or from another device.').waitFor();
  await others.waitFor({ state: 'detached' });
  await ada.page.getByText('This device').waitFor();
});

test('signing out wipes what this device held, and tells what would be lost', async (scene) => {
  const ada = await scene.person('Ada');
  const bob = await scene.account('Bob');
  await ada.chatWith(bob);
  await ada.write('a secret between us');
  await ada.state('a secret between us', 'sent');
  await ada.composer.fill('half a secret thought');
  await ada.page.getByRole('button', { name: 'Your menu' }).click();
  await ada.page.getByRole('menuitem', { name: 'Sign out' }).click();
  const question = ada.page.getByRole('alertdialog', { name: 'Sign out?' });
  await question.getByText('They stay on the server.').waitFor();
  await question.getByRole('button', { name: 'Sign out' }).click();
  await ada.page.getByRole('heading', { name: 'Good to see you' }).waitFor();
  const left = await ada.page.evaluate(everythingKept);
  assert.ok(!/secret/.test(left), left.slice(0, 500));
  await ada.page.reload();
  await ada.page.getByRole('heading', { name: 'Good to see you' }).waitFor();
  const eve = await scene.account('Eve');
  ada.username = eve.username;
  await ada.signIn();
  await ada.page.getByText('No chats yet').waitFor();
});

/** All that scripts of this page could read again later, as text. Runs in the page. */
async function everythingKept() {
  const found = [JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage })];
  for (const { name } of await indexedDB.databases()) {
    const database = await new Promise((resolve, reject) => Object.assign(indexedDB.open(name), { onsuccess: ({ target }) => resolve(target.result), onerror: reject }));
    for (const store of database.objectStoreNames) {
      const rows = await new Promise((resolve) => (database.transaction(store).objectStore(store).getAll().onsuccess = ({ target }) => resolve(target.result)));
      found.push(`${store}: ${JSON.stringify(rows)}`);
    }
    database.close();
  }
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) if (request.url.includes('/v1/')) found.push(`a secret answer in the cache: ${request.url}`);
  }
  return found.join('\n');
}

test('signing out in one tab signs out the others', async (scene) => {
  const ada = await scene.person('Ada');
  const other = await ada.tab();
  await other.isIn();
  await ada.goto('#/settings/account');
  await ada.page.getByRole('button', { name: 'Sign out' }).click();
  await ada.page.getByRole('alertdialog').getByRole('button', { name: 'Sign out' }).click();
  await other.page.getByRole('heading', { name: 'Good to see you' }).waitFor();
});

test('a new password puts other devices out; a deleted account lets nobody in', async (scene) => {
  const ada = await scene.person('Ada');
  const phone = await scene.device(ada);
  await ada.goto('#/settings/account');
  await ada.page.getByLabel('Present password').fill(PASSWORD);
  await ada.page.getByLabel('New password').fill('another long battery staple');
  await ada.page.getByRole('button', { name: 'Change password' }).click();
  await phone.page.getByText('This device was signed out').waitFor();
  await phone.signIn();
  await phone.page.getByRole('alert').getByText('User name or password is wrong.').waitFor();
  await ada.page.getByRole('button', { name: 'Delete account' }).click();
  const question = ada.page.getByRole('alertdialog', { name: 'Delete your account?' });
  await question.getByRole('button', { name: 'Delete account' }).click();
  await ada.page.getByRole('heading', { name: 'Good to see you' }).waitFor();
  await ada.signIn('another long battery staple');
  await ada.page.getByRole('alert').waitFor();
});
