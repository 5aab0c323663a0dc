'use strict';

const ROOMS = 4;
const MESSAGES = 150;

/**
 * What people do in a minute, by real clicks and keys, as Event Timing tells it: from the press to the next picture.
 * INP is the slowest but one of fifty (web.dev/articles/inp): with fewer, the slowest.
 */
module.exports = async function interaction(world, report) {
  const gina = await world.person('gina');
  const ben = await world.once('ben', () => world.person('ben'));
  const rooms = [];
  for (let number = 0; number < ROOMS; number += 1) {
    const { room } = await world.call(ben.token, 'POST', '/rooms', { kind: 'group', name: `Place ${number}`, members: [gina.id] });
    await world.write(ben.token, room.id, 1000 * number, MESSAGES);
    rooms.push({ id: room.id, last: `line ${1000 * number + MESSAGES - 1}.` });
  }
  const page = await world.page();
  await world.signIn(page, 'gina');
  for (const room of rooms) await world.readRoom(page, room);
  // What a click may want was fetched some seconds after the first messages came.
  await page.waitForLoadState('networkidle');
  await page.slow();
  await page.evaluate(() => (probe.interactions = new Map()));
  for (const room of rooms) {
    await page.locator(`[data-room="${room.id}"]`).click();
    await page.locator('.timeline').getByText(room.last).waitFor();
  }
  const box = page.locator('[data-region="composer"] textarea');
  await box.click();
  await page.keyboard.type('A sentence of some words, as one writes it.', { delay: 40 });
  await page.keyboard.press('Enter');
  const mine = page.locator('.timeline article', { hasText: 'A sentence of some words' });
  await mine.waitFor();
  await mine.hover();
  await mine.getByRole('button', { name: 'React with 👍' }).click();
  await mine.getByRole('button', { name: '👍 1 reaction' }).waitFor();
  await mine.hover();
  await mine.getByRole('button', { name: 'Open thread' }).click();
  await page.locator('[data-region="panel"] textarea').waitFor();
  await page.locator('[data-region="panel"] textarea').press('Escape');
  await page.getByRole('button', { name: 'Members' }).click();
  await page.getByRole('complementary', { name: 'Members' }).waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.type('Place 2', { delay: 40 });
  await page.keyboard.press('Enter');
  await page.locator('.timeline').getByText(rooms[2].last).waitFor();
  const all = await page.evaluate(async () => (await probe.painted(), [...probe.interactions.values()]));
  report.time('interactions: press to picture (4x slower)', all.map((one) => one.ms), 'INP <= 200 ms');
  const slowest = all.sort((one, other) => other.ms - one.ms).slice(0, 3).map(({ name, ms }) => `${name} ${ms}`);
  report.note('the slowest of them, ms', slowest.join(', '));
  await page.context().close();
};
