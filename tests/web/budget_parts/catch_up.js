'use strict';

const MISSED = 10_000;

/** Ten thousand entries written while the page was closed. */
module.exports = async function catchUp(world, report) {
  const finn = await world.person('finn');
  const ben = await world.once('ben', () => world.person('ben'));
  const { room } = await world.call(ben.token, 'POST', '/rooms', { kind: 'group', name: 'Missed', members: [finn.id] });
  await world.write(ben.token, room.id, 1, 20);
  const page = await world.page();
  await world.signIn(page, 'finn');
  await world.readRoom(page, { id: room.id, last: 'line 20.' });
  // Positions are kept some seconds after they moved, and when the page goes.
  await page.goto('about:blank');
  await world.write(ben.token, room.id, 21, MISSED);
  let syncs = 0;
  page.on('request', (request) => request.url().endsWith('/v1/sync') && (syncs += 1));
  const began = Date.now();
  await page.goto(`${await world.address()}/`);
  await page.locator('.room-line-preview', { hasText: `line ${MISSED + 20}.` }).waitFor();
  report.time('catch up 10,000 entries, debug server', [Date.now() - began], '<= 3000 ms');
  const writes = await page.evaluate(async () => {
    // What has gathered is written when the page is hidden.
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
    await probe.painted();
    return probe.writes;
  });
  report.count('transactions of it', writes, MISSED / 200 + 8);
  report.count('sync requests of it', syncs, MISSED / 200 + 3);
  await page.context().close();
};
