/** The messages of a room: lines, jumps, and what can be done with a message. */
import assert from 'node:assert/strict';
import { stage } from './support/stage.mjs';

const test = stage();

/** Ada in a browser, Bob without one, and their room's id. */
async function pair(scene) {
  const [ada, bob] = [await scene.person('Ada'), await scene.account('Bob')];
  const room = await bob.direct(await bob.find(ada.username));
  await ada.room(bob.displayName).waitFor();
  return { ada, bob, room };
}

const lines = (count, word = 'line') => Array.from({ length: count }, (_, index) => `${word} ${index + 1}.`);

test('messages of one sender stand in a group, under the line of their day', async (scene) => {
  const { ada, bob, room } = await pair(scene);
  await bob.write(room, ['first', 'second']);
  await ada.openRoom(bob.displayName);
  await ada.sees('second');
  await ada.write('third');
  await ada.state('third', 'sent');
  const grouped = async (text) => /message-grouped/.test(await ada.message(text).getAttribute('class'));
  assert.deepEqual([await grouped('first'), await grouped('second'), await grouped('third')], [false, true, false]);
  assert.deepEqual(await ada.timeline.locator('.day-line').allTextContents(), ['Today']);
  const tomorrow = new Date(Date.now() + 24 * 60 * 60_000);
  await ada.page.clock.setSystemTime(tomorrow);
  await ada.page.reload();
  await ada.sees('third');
  assert.deepEqual(await ada.timeline.locator('.day-line').allTextContents(), ['Yesterday']);
});

test('the new-messages line stands at the first unread one, and there is a way back to it', async (scene) => {
  const { ada, bob, room } = await pair(scene);
  await bob.write(room, lines(5, 'old'));
  await ada.openRoom(bob.displayName);
  await ada.sees('old 5.');
  await ada.room(bob.displayName).getByText(/unread/).waitFor({ state: 'detached' });
  await ada.goto('#/');
  await bob.write(room, lines(60, 'new'));
  await ada.room(bob.displayName).getByText('60 unread messages').waitFor();
  await ada.room(bob.displayName).click();
  const line = ada.timeline.locator('[data-new-line]');
  await line.waitFor();
  const row = ada.timeline.locator('.row', { has: ada.page.locator('[data-new-line]') });
  assert.match(await row.locator('article').getAttribute('aria-label'), /new 1\./);
  await ada.page.waitForFunction(inView, '[data-new-line]');
  await ada.timeline.hover();
  await ada.page.mouse.wheel(0, 100_000);
  await ada.sees('new 60.');
  await ada.page.getByRole('button', { name: 'First new message' }).click();
  await ada.page.waitForFunction(inView, '[data-new-line]');
  await ada.page.getByRole('button', { name: /Latest messages|new messages?$/ }).click();
  await ada.sees('new 60.');
  await line.waitFor({ state: 'detached' });
  await ada.room(bob.displayName).getByText(/unread/).waitFor({ state: 'detached' });
});

/** Runs in the page: whether the element is to be seen in the list. */
function inView(selector) {
  const element = document.querySelector(selector);
  const frame = document.querySelector('[data-region="timeline"]').getBoundingClientRect();
  const box = element?.getBoundingClientRect();
  return box !== undefined && box.bottom > frame.top && box.top < frame.bottom;
}

test('a reply leads to its origin, also one that is not loaded', async (scene) => {
  const { ada, bob, room } = await pair(scene);
  const [origin] = await bob.write(room, ['where it began']);
  await bob.write(room, lines(400));
  await bob.write(room, ['the far reply'], { reply_to: origin });
  await ada.openRoom(bob.displayName);
  await ada.page.getByRole('button', { name: /Latest messages|new messages?$/ }).click();
  await ada.sees('the far reply');
  const begin = ada.timeline.locator('article[aria-label*="where it began"]');
  assert.equal(await begin.count(), 0);
  await ada.message('the far reply').locator('.reply-quote').click();
  await begin.waitFor();
  await ada.page.waitForFunction(() => document.activeElement?.getAttribute('aria-label')?.includes('where it began'));
});

test('a reply shows what it answers, to both', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await ada.chatWith(bob);
  await ada.write('tea or coffee?');
  await bob.openRoom(ada.displayName);
  await bob.sees('tea or coffee?');
  await bob.act('tea or coffee?', 'Reply');
  await bob.page.locator('.composer-context').getByText('tea or coffee?').waitFor();
  await bob.write('coffee');
  for (const person of [ada, bob]) {
    const reply = person.timeline.locator('article[aria-label*="a reply"]');
    await reply.getByText('tea or coffee?').waitFor();
    assert.match(await reply.getAttribute('aria-label'), /coffee/);
  }
});

test('reactions are counted, told as one’s own, and taken back', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await ada.chatWith(bob);
  await ada.write('I did it');
  await bob.openRoom(ada.displayName);
  await bob.sees('I did it');
  await bob.act('I did it', 'React with 👍');
  const chip = (person, count) => person.message('I did it').getByRole('button', { name: `👍 ${count} reaction` });
  await chip(ada, 1).click();
  await chip(bob, 2).waitFor();
  assert.equal(await chip(bob, 2).getAttribute('aria-pressed'), 'true');
  await chip(bob, 2).click();
  await chip(ada, 1).waitFor();
  assert.equal(await chip(ada, 1).getAttribute('aria-pressed'), 'true');
  await bob.act('I did it', 'React');
  await bob.page.getByRole('combobox', { name: 'Find an emoji' }).fill('party popper');
  await bob.page.getByRole('option', { name: /party popper/i }).first().click();
  await ada.message('I did it').getByRole('button', { name: '🎉 1 reaction' }).waitFor();
});

test('an edit and a deletion reach the other, who may do neither', async (scene) => {
  const [ada, bob] = [await scene.person('Ada'), await scene.person('Bob')];
  await ada.chatWith(bob);
  await ada.write('teh word');
  await bob.openRoom(ada.displayName);
  await bob.sees('teh word');
  await ada.menuOf('teh word', 'Edit');
  assert.equal(await ada.composer.inputValue(), 'teh word');
  await ada.write('the word');
  await bob.sees('the word');
  await bob.message('the word').getByText('edited').waitFor();
  await bob.message('the word').hover();
  await bob.message('the word').getByRole('button', { name: 'More' }).click();
  await bob.page.getByRole('menuitem', { name: 'Copy text' }).waitFor();
  assert.equal(await bob.page.getByRole('menuitem', { name: /Edit|Delete/ }).count(), 0);
  await bob.page.keyboard.press('Escape');
  await ada.menuOf('the word', 'Delete');
  await ada.page.getByRole('alertdialog', { name: 'Delete this message?' }).getByRole('button', { name: 'Cancel' }).click();
  await ada.sees('the word');
  await ada.menuOf('the word', 'Delete');
  await ada.page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
  for (const person of [ada, bob]) {
    await person.sees('This message was deleted');
    await person.missing('the word');
  }
});

test('a thread has its own place: three people answer in it', async (scene) => {
  const [ada, bob, cleo] = [await scene.person('Ada'), await scene.person('Bob'), await scene.person('Cleo')];
  await ada.createGroup(scene.name('Plans'), [bob, cleo]);
  await ada.write('where do we meet?');
  await bob.openRoom(scene.name('Plans'));
  await bob.sees('where do we meet?');
  await bob.act('where do we meet?', 'Open thread');
  const panel = (person) => person.page.locator('[data-region="panel"]');
  await panel(bob).getByRole('textbox', { name: 'Reply in thread' }).fill('at the café');
  await panel(bob).getByRole('textbox', { name: 'Reply in thread' }).press('Enter');
  await panel(bob).getByText('1 reply').waitFor();
  await cleo.openRoom(scene.name('Plans'));
  await cleo.timeline.locator('.thread-reply', { hasText: 'at the café' }).getByRole('button').click();
  await panel(cleo).getByRole('textbox', { name: 'Reply in thread' }).fill('at eight');
  await panel(cleo).getByRole('button', { name: 'Send' }).click();
  await panel(bob).getByText('2 replies').waitFor();
  await panel(bob).getByText('at eight').waitFor();
  await ada.timeline.locator('.thread-reply', { hasText: 'at eight' }).waitFor();
  await panel(bob).getByRole('button', { name: 'Close' }).click();
  await panel(bob).waitFor({ state: 'detached' });
});

test('typing shows to who looks at the room', async (scene) => {
  const [ada, bob, cleo] = [await scene.person('Ada'), await scene.person('Bob'), await scene.person('Cleo')];
  await ada.createGroup(scene.name('Plans'), [bob, cleo]);
  await ada.write('say something');
  for (const one of [bob, cleo]) await (await one.openRoom(scene.name('Plans'))).sees('say something');
  await bob.composer.pressSequentially('hm');
  await ada.page.locator('.typing').getByText(/is writing…/).waitFor();
  assert.ok((await ada.page.locator('.typing').textContent()).includes(bob.displayName));
  await bob.composer.press('Enter');
  await ada.sees('hm');
});

/** Runs in the page: what the browser measures is told only once it is let to, as on a machine that is busy. */
function holdMeasuring() {
  const held = [];
  globalThis.letMeasure = () => {
    globalThis.isHeld = false;
    for (const tell of held.splice(0)) tell();
  };
  globalThis.isHeld = false;
  globalThis.ResizeObserver = class extends ResizeObserver {
    constructor(hear) {
      super((entries, observer) => (globalThis.isHeld ? held.push(() => hear(entries, observer)) : hear(entries, observer)));
    }
  };
}

test('rows that come before the browser has measured the list show once it has', async (scene) => {
  const ada = await scene.person('Ada', { init: holdMeasuring });
  const bob = await scene.account('Bob');
  await ada.chatWith(bob);
  await ada.write('here already');
  await ada.state('here already', 'sent');
  const room = ada.roomId();
  await ada.goto('#/');
  await ada.page.reload();
  await ada.isIn();
  await ada.page.evaluate(() => (globalThis.isHeld = true));
  await ada.goto(`#/room/${room}`);
  // The list is as high as its rows are thought to be, and draws none of them yet.
  await ada.page.waitForFunction(() => document.querySelector('.timeline')?.lastElementChild?.offsetHeight > 0);
  assert.equal(await ada.message('here already').count(), 0);
  await ada.page.evaluate(() => letMeasure());
  await ada.sees('here already');
});
