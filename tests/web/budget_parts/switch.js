'use strict';

const ROOMS = 6;
const MESSAGES = 150;
const TURNS = 4;

/** From room to room: all of them are on this device. */
module.exports = async function switchRooms(world, report) {
  const eva = await world.person('eva');
  const ben = await world.once('ben', () => world.person('ben'));
  const rooms = [];
  for (let number = 0; number < ROOMS; number += 1) {
    const { room } = await world.call(ben.token, 'POST', '/rooms', { kind: 'group', name: `Room ${number}`, members: [eva.id] });
    await world.write(ben.token, room.id, 1000 * number, MESSAGES);
    rooms.push({ id: room.id, last: `line ${1000 * number + MESSAGES - 1}.` });
  }
  const page = await world.page();
  await world.signIn(page, 'eva');
  for (const room of rooms) await world.readRoom(page, room);
  await page.reload();
  await page.locator(`[data-room="${rooms[0].id}"]`).waitFor();
  await page.locator('.timeline').getByText(rooms[ROOMS - 1].last).waitFor();
  const calls = [];
  // Of the server: what the page fetches ahead and the icon a browser asks for cost nobody a wait.
  page.on('request', (request) => request.url().includes('/v1/') && calls.push(new URL(request.url()).pathname));
  await page.slow();
  const open = (room) => page.evaluate(({ id, last }) => probe.after(() => document.querySelector(`[data-room="${id}"]`).click(), () => document.querySelector('.timeline')?.textContent.includes(last)), room);
  const first = [];
  for (const room of rooms.slice(0, -1)) first.push(await open(room));
  report.time('open a cached room (4x slower)', first, '<= 150 ms');
  report.count('requests for messages of cached rooms', calls.filter((call) => call.endsWith('/messages')).length, 0);
  calls.length = 0;
  const again = [];
  for (let turn = 0; turn < TURNS; turn += 1) for (const room of rooms) again.push(await open(room));
  report.time('switch rooms (4x slower)', again, '<= 100 ms to the first picture');
  report.count(`requests while switching among opened rooms${calls.length > 0 ? ` (${[...new Set(calls.map((call) => call.replace(/[0-9a-f-]{36}/g, '…')))].join(', ')})` : ''}`, calls.length, 0);
  report.count('lines of the room list mounted', await page.locator('[data-room]').count(), 120);
  await page.context().close();
};
