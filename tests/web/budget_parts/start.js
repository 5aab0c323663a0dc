'use strict';

/** Fast 3G as browsers' developer tools have it: bytes a second, ms. */
const NETWORK = { offline: false, downloadThroughput: (1.6 * 1024 * 1024) / 8, uploadThroughput: (750 * 1024) / 8, latency: 150 };
const MESSAGES = 120;

module.exports = async function start(world, report) {
  const dora = await world.person('dora');
  const ben = await world.once('ben', () => world.person('ben'));
  const { room } = await world.call(ben.token, 'POST', '/rooms', { kind: 'direct', user: dora.id });
  await world.write(ben.token, room.id, 1, MESSAGES);
  const page = await world.page();
  await page.slow();
  await page.session.send('Network.enable');
  await page.session.send('Network.emulateNetworkConditions', NETWORK);
  const began = Date.now();
  await page.goto(`${await world.address()}/`);
  await page.locator('input[type=password]').waitFor();
  report.time('first visit to the sign-in form (fast 3G, 4x slower)', [Date.now() - began], '<= 4000 ms');
  const { paint, shift } = await page.evaluate(async () => (await probe.until(() => probe.paint > 0), { paint: probe.paint, shift: probe.shift }));
  report.time('its largest contentful paint', [paint], '<= 2500 ms');
  report.count('its layout shift', shift, 0.1);
  await page.session.send('Network.emulateNetworkConditions', { ...NETWORK, downloadThroughput: -1, uploadThroughput: -1, latency: 0 });
  await page.fast();
  await world.signIn(page, 'dora');
  await world.readRoom(page, { id: room.id, last: `line ${MESSAGES}.` });
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await warm(page, report);
  await page.context().close();
};

/** Everything from this device: not a byte may be wanted. */
async function warm(page, report) {
  // A second visit online: from now on the service worker has its page.
  await page.reload();
  await page.locator('.timeline [data-row]').first().waitFor();
  await page.context().setOffline(true);
  await page.slow();
  const times = [];
  for (let count = 0; count < 3; count += 1) {
    await page.reload({ waitUntil: 'commit' });
    times.push(await page.evaluate(async (text) => {
      await probe.until(() => document.querySelector('.timeline')?.textContent.includes(text));
      await probe.painted();
      return performance.now();
    }, `line ${MESSAGES}.`));
  }
  report.time('warm start offline to a cached room (4x slower)', times, '<= 1000 ms');
  report.count('its layout shift', await page.evaluate(() => probe.shift), 0.1);
  report.count('rows mounted then', await page.evaluate(() => probe.mounted()), 120);
  await page.fast();
  await page.context().setOffline(false);
}
