/** Where messages are written: the Markdown subset, mentions, emoji, editing the last one, drafts. */
import assert from 'node:assert/strict';
import { stage } from './support/stage.mjs';

const test = stage();

async function pair(scene) {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await ada.chatWith(bob);
  await ada.write('hello');
  await bob.openRoom(ada.displayName);
  await bob.sees('hello');
  return { ada, bob };
}

test('the Markdown subset arrives as what it means, and nothing else does', async (scene) => {
  const { ada, bob } = await pair(scene);
  await ada.write(['**strong** and _soft_ and ~~gone~~ and `code`', '> a quote', '- one', '- two', '1. first', 'see https://example.org/page.', '```rust', 'let x = "**no**";', '```'].join('\n'));
  const body = bob.message('strong and').locator('.markdown');
  await body.waitFor();
  const text = async (selector) => (await body.locator(selector).allTextContents()).join('|');
  assert.equal(await text('strong'), 'strong');
  assert.equal(await text('em'), 'soft');
  assert.equal(await text('s'), 'gone');
  assert.equal(await text('p code'), 'code');
  assert.equal(await text('blockquote'), 'a quote');
  assert.equal(await text('ul li'), 'one|two');
  assert.match(await text('ol li'), /^first/);
  assert.equal(await text('pre'), 'let x = "**no**";');
  assert.equal(await text('figcaption > span'), 'rust');
  const link = body.locator('a');
  assert.deepEqual([await link.getAttribute('href'), await link.getAttribute('rel'), await link.getAttribute('target')], ['https://example.org/page', 'noopener noreferrer nofollow', '_blank']);
});

test('a code block is copied with one press', async (scene) => {
  const { ada, bob } = await pair(scene);
  await bob.context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await ada.write('```\nmake up\nmake test\n```');
  await bob.message('make up').getByRole('button', { name: 'Copy' }).first().click();
  await bob.message('make up').getByText('Copied').waitFor();
  assert.equal(await bob.page.evaluate(() => navigator.clipboard.readText()), 'make up\nmake test');
});

test('a mention is offered while one writes, and marked for who is meant', async (scene) => {
  const [ada, bob, cleo] = [await scene.person('Ada'), await scene.person('Bob'), await scene.person('Cleo')];
  await ada.createGroup(scene.name('Team'), [bob, cleo]);
  await ada.composer.click();
  await ada.page.keyboard.type('ask @cle');
  const offers = ada.page.getByRole('listbox', { name: 'People to mention' });
  await offers.getByRole('option', { name: cleo.displayName }).click();
  assert.equal(await ada.composer.inputValue(), `ask @${cleo.username} `);
  await ada.page.keyboard.type('@b');
  await offers.getByRole('option', { name: bob.displayName }).waitFor();
  await ada.page.keyboard.press('Tab');
  await ada.page.keyboard.press('Enter');
  for (const one of [bob, cleo]) {
    await one.openRoom(scene.name('Team'));
    await one.message('ask').locator('.mention-me', { hasText: one.displayName }).waitFor();
    // Whose name the other is comes a moment later.
    await one.message('ask').locator('.mention:not(.mention-me)').waitFor();
  }
});

test('an emoji is picked and lands at the caret', async (scene) => {
  const { ada, bob } = await pair(scene);
  await ada.composer.fill('well done');
  await ada.composer.press('Home');
  await ada.page.locator('.composer').getByRole('button', { name: 'Emoji' }).click();
  await ada.page.getByRole('combobox', { name: 'Find an emoji' }).fill('rocket');
  await ada.page.getByRole('option', { name: /rocket/i }).first().click();
  await ada.page.waitForFunction(() => document.querySelector('.composer textarea').value === '🚀well done');
  await ada.page.locator('.composer').getByRole('button', { name: 'Send' }).click();
  await bob.sees('🚀well done');
});

test('an emoji is offered by its name, and a smiley of signs is left alone', async (scene) => {
  const { ada, bob } = await pair(scene);
  await ada.composer.click();
  await ada.page.keyboard.type('lift off :rocke');
  const offers = ada.page.getByRole('listbox', { name: 'Emoji' });
  await offers.getByRole('option', { name: 'rocket' }).waitFor();
  await ada.page.keyboard.press('Enter');
  await ada.page.waitForFunction(() => document.querySelector('.composer textarea').value === 'lift off 🚀 ');
  await ada.page.keyboard.type(':) at 10:30');
  assert.equal(await offers.count(), 0);
  await ada.page.keyboard.press('Enter');
  await bob.sees('lift off 🚀 :) at 10:30');
});

test('who clicks a room writes in it', async (scene) => {
  const { ada, bob } = await pair(scene);
  const cleo = await scene.person('Cleo');
  await ada.chatWith(cleo);
  await ada.room(bob.displayName).click();
  await ada.page.getByRole('heading', { level: 1, name: bob.displayName }).waitFor();
  await ada.page.waitForFunction(() => document.activeElement?.matches('[data-region="composer"] textarea'));
  await ada.page.keyboard.type('no second click');
  await ada.page.keyboard.press('Enter');
  await bob.sees('no second click');
});

test('arrow up edits the last own message, Escape leaves it as it was', async (scene) => {
  const { ada, bob } = await pair(scene);
  await ada.write('one');
  await ada.write('tow');
  await ada.state('tow', 'read');
  await bob.write('not mine');
  await ada.sees('not mine');
  await ada.composer.press('ArrowUp');
  assert.equal(await ada.composer.inputValue(), 'tow');
  await ada.composer.press('Escape');
  assert.equal(await ada.composer.inputValue(), '');
  await ada.composer.press('ArrowUp');
  await ada.write('two');
  await bob.sees('two');
  await bob.missing('tow');
});

test('drafts are kept for each room, over another room and over a reload', async (scene) => {
  const { ada, bob } = await pair(scene);
  await ada.createGroup(scene.name('Other'));
  await ada.composer.fill('for the group');
  await ada.openRoom(bob.displayName);
  assert.equal(await ada.composer.inputValue(), '');
  await ada.composer.fill('for bob');
  await ada.room(scene.name('Other')).getByText('Draft').waitFor();
  await ada.openRoom(scene.name('Other'));
  assert.equal(await ada.composer.inputValue(), 'for the group');
  await ada.room(bob.displayName).getByText('Draft').waitFor();
  await ada.page.reload();
  await ada.isIn();
  await ada.page.waitForFunction(() => document.querySelector('.composer textarea')?.value === 'for the group');
  await ada.openRoom(bob.displayName);
  await ada.page.waitForFunction(() => document.querySelector('.composer textarea')?.value === 'for bob');
  await ada.composer.press('Enter');
  await bob.sees('for bob');
  await ada.page.reload();
  await ada.sees('for bob');
  assert.equal(await ada.composer.inputValue(), '');
});

test('the toolbar and its keys put marks around what is chosen', async (scene) => {
  const { ada } = await pair(scene);
  await ada.composer.fill('word');
  await ada.composer.press('Control+a');
  await ada.page.locator('.composer').getByRole('button', { name: 'Bold' }).click();
  assert.equal(await ada.composer.inputValue(), '**word**');
  await ada.page.locator('.composer').getByRole('button', { name: 'Bold' }).click();
  assert.equal(await ada.composer.inputValue(), 'word');
  await ada.composer.press('Control+i');
  assert.equal(await ada.composer.inputValue(), '_word_');
  await ada.composer.fill('a\nb');
  await ada.composer.press('Control+a');
  await ada.page.locator('.composer').getByRole('button', { name: 'Code' }).click();
  assert.equal(await ada.composer.inputValue(), '```\na\nb\n```');
});

test('Shift and Enter make a line; by a setting Enter does, and Ctrl and Enter send', async (scene) => {
  const { ada, bob } = await pair(scene);
  await ada.composer.click();
  await ada.page.keyboard.type('upper');
  await ada.page.keyboard.press('Shift+Enter');
  await ada.page.keyboard.type('lower');
  await ada.page.keyboard.press('Enter');
  await bob.message('upper').locator('br').waitFor({ state: 'attached' });
  await ada.goto('#/settings/keyboard');
  await ada.page.getByRole('radio', { name: /Ctrl \+ Enter/ }).check();
  await ada.openRoom(bob.displayName);
  await ada.composer.click();
  await ada.page.keyboard.type('left');
  await ada.page.keyboard.press('Enter');
  await ada.page.keyboard.type('right');
  await ada.page.keyboard.press('Control+Enter');
  await bob.message('left').locator('br').waitFor({ state: 'attached' });
});
