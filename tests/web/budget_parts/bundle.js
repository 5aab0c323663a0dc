'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { gzipSync } = require('node:zlib');

const KB = 1_000;
/** Bytes: JavaScript before the first message list, of any other chunk, of all style sheets. */
const FIRST = 180 * KB;
const CHUNK = 60 * KB;
const STYLES = 25 * KB;

/** Sizes as a server sends them by gzip. Which files come before the first message list is what a browser asked for. */
module.exports = async function bundle(world, report) {
  const assets = path.join(world.dist, 'assets');
  const size = new Map(fs.readdirSync(assets).filter((name) => /\.(js|css)$/.test(name)).map((name) => [name, gzipSync(fs.readFileSync(path.join(assets, name)), { level: 9 }).length]));
  const ada = await world.once('ada', () => world.person('ada'));
  const ben = await world.once('ben', () => world.person('ben'));
  const { room } = await world.call(ben.token, 'POST', '/rooms', { kind: 'direct', user: ada.id });
  await world.write(ben.token, room.id, 1, 5);
  const page = await world.page({ serviceWorkers: 'block' });
  const asked = new Set();
  page.on('request', (request) => asked.add(path.basename(new URL(request.url()).pathname)));
  await world.signIn(page, 'ada');
  await page.goto(`${await world.address()}/#/room/${room.id}`);
  await page.locator('.timeline [data-row]').first().waitFor();
  await page.context().close();
  const sum = (names) => names.reduce((total, name) => total + (size.get(name) ?? 0), 0);
  const first = [...asked].filter((name) => name.endsWith('.js') && size.has(name));
  const later = [...size].filter(([name]) => name.endsWith('.js') && !asked.has(name));
  const [name, largest] = later.reduce((most, one) => (one[1] > most[1] ? one : most));
  report.count('JavaScript before the first message list, gzip', sum(first) / KB, FIRST / KB, 'kB');
  report.count('files of it', first.length, 4);
  report.count(`largest chunk after it, gzip (${name})`, largest / KB, CHUNK / KB, 'kB');
  report.count('all style sheets, gzip', sum([...size.keys()].filter((one) => one.endsWith('.css'))) / KB, STYLES / KB, 'kB');
};
