/** The focus is never lost: not when its row leaves the view, not when history comes before it, not when messages arrive. */
import assert from 'node:assert/strict';
import { stage } from './support/stage.mjs';

const test = stage();

const HISTORY = 300;
/** Presses in which nothing moves before a page of history counts as not coming. */
const PATIENCE = 200;

async function reader(scene) {
  const ada = await scene.person('Ada');
  const bob = await scene.account('Bob');
  const room = await bob.direct(await bob.find(ada.username));
  await bob.write(room, Array.from({ length: HISTORY }, (_, index) => `line ${index + 1}.`));
  await ada.room(bob.displayName).getByText(`${HISTORY} unread messages`).waitFor();
  await ada.goto(`#/room/${room}`);
  await ada.timeline.locator('[data-new-line]').waitFor();
  await ada.page.getByRole('button', { name: /Latest messages|new messages?$/ }).click();
  await ada.sees(`line ${HISTORY}.`);
  return { ada, bob, room };
}

const focused = (person) => person.page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.tagName);
const drawn = (person) => person.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

async function focusMessage(person, text) {
  await person.page.keyboard.press('F6');
  await person.page.waitForFunction(() => document.activeElement?.closest('[data-region]')?.dataset.region === 'rooms');
  await person.page.keyboard.press('F6');
  await person.page.waitForFunction(() => document.activeElement?.matches('[data-region="timeline"] article'));
  await person.page.keyboard.press('End');
  await person.page.waitForFunction((wanted) => document.activeElement?.getAttribute('aria-label')?.includes(wanted), text);
}

test('the row that has the focus stays while the list is scrolled far away and history comes before it', async (scene) => {
  const { ada } = await reader(scene);
  await focusMessage(ada, `line ${HISTORY}.`);
  const label = await focused(ada);
  await ada.timeline.hover();
  while ((await ada.message('line 1.').count()) === 0) {
    await ada.page.mouse.wheel(0, -2_000);
    await drawn(ada);
    assert.equal(await focused(ada), label);
  }
  // Far fewer rows than there are, so rows were recycled on the way.
  assert.ok((await ada.timeline.locator('article').count()) < HISTORY / 2);
  await ada.page.keyboard.press('ArrowUp');
  await ada.page.waitForFunction((wanted) => document.activeElement?.getAttribute('aria-label')?.includes(wanted), `line ${HISTORY - 1}.`);
  await ada.page.waitForFunction(() => {
    const box = document.activeElement.getBoundingClientRect();
    const frame = document.querySelector('[data-region="timeline"]').getBoundingClientRect();
    return box.bottom > frame.top && box.top < frame.bottom;
  });
});

test('messages that arrive move neither the focus nor the row one reads', async (scene) => {
  const { ada, bob, room } = await reader(scene);
  await focusMessage(ada, `line ${HISTORY}.`);
  for (let press = 0; press < 3; press += 1) await ada.page.keyboard.press('PageUp');
  const wanted = `line ${HISTORY - 30}.`;
  await ada.page.waitForFunction((text) => document.activeElement?.getAttribute('aria-label')?.includes(text), wanted);
  const label = await focused(ada);
  const top = () => ada.page.evaluate(() => Math.round(document.activeElement.getBoundingClientRect().top));
  await drawn(ada);
  const before = await top();
  await bob.write(room, ['fresh 1.', 'fresh 2.', 'fresh 3.']);
  await ada.page.getByRole('button', { name: '3 new messages' }).waitFor();
  assert.equal(await focused(ada), label);
  assert.equal(await top(), before);
  await ada.page.keyboard.press('End');
  await ada.page.waitForFunction(() => document.activeElement?.getAttribute('aria-label')?.includes('fresh 3.'));
});

test('the arrow keys go through all of a room, page by page of history, to its first message', async (scene) => {
  const { ada } = await reader(scene);
  await focusMessage(ada, `line ${HISTORY}.`);
  // At the first row held the key leads nowhere until more rows have come; never does it skip any, and never is the focus lost.
  let at = HISTORY;
  for (let idle = 0; at > 1 && idle < PATIENCE; ) {
    await ada.page.keyboard.press('PageUp');
    await drawn(ada);
    const label = await focused(ada);
    const now = Number(/line (\d+)\./.exec(label)?.[1]);
    assert.ok(now <= at && now >= at - 10, `from ${at} to ${label}`);
    idle = now === at ? idle + 1 : 0;
    at = now;
  }
  assert.equal(at, 1);
});

test('an edit of the row with the focus, and a reaction to it, leave the focus there', async (scene) => {
  const { ada, bob, room } = await reader(scene);
  await focusMessage(ada, `line ${HISTORY}.`);
  const [last] = (await bob.call('GET', `/rooms/${room}/messages?limit=1`)).entries;
  await bob.call('POST', `/rooms/${room}/messages`, { message_id: crypto.randomUUID(), kind: 'edit', target: last.position.seq, content: { text: 'line edited' } });
  await bob.call('POST', `/rooms/${room}/messages`, { message_id: crypto.randomUUID(), kind: 'reaction', target: last.position.seq, content: { emoji: '🎉', on: true } });
  await ada.message('line edited').getByRole('button', { name: '🎉 1 reaction' }).waitFor();
  assert.match(await focused(ada), /line edited/);
});

test('a dialog takes the focus and gives it back', async (scene) => {
  const ada = await scene.person('Ada');
  const button = ada.page.getByRole('button', { name: 'Find a room or person' });
  await button.focus();
  await ada.page.keyboard.press('Enter');
  await ada.page.getByRole('dialog').waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.page.getByRole('dialog').waitFor({ state: 'detached' });
  await ada.page.waitForFunction(() => document.activeElement?.textContent?.includes('Find a room or person'));
});
