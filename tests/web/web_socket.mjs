/** A bad line between browser and server: cut at each step of a send, half open, a captive portal, a token that is not taken. */
import assert from 'node:assert/strict';
import { stage } from './support/stage.mjs';
import { CUT_AFTER, CUT_BEFORE, CUT_INSIDE, PASS } from './support/wire.mjs';

/** Short, so that a half-open connection shows soon: clients give up after two. */
const HEARTBEAT_MS = 2_000;
const test = stage({ settings: `gateway: {heartbeatMs: ${HEARTBEAT_MS}}\n` });

async function pair(scene) {
  const wire = await scene.wire();
  const ada = await scene.person('Ada', { wire });
  const bob = await scene.person('Bob');
  await ada.chatWith(bob);
  await ada.write('first');
  await bob.openRoom(ada.displayName);
  await bob.sees('first');
  await ada.state('first', 'read');
  return { ada, bob, wire, room: ada.roomId() };
}

/** Does this to the first WebSocket message with such a frame for our room; those after it pass. */
function once(type, room, verdict) {
  let done = false;
  return (frames) => {
    if (done || !frames.some((frame) => frame.type === type && frame.room === room)) return PASS;
    done = true;
    return verdict;
  };
}

const STEPS = [
  ['before the send leaves', 'fromClient', 'send', CUT_BEFORE],
  ['inside the send', 'fromClient', 'send', CUT_INSIDE],
  ['after the send, before any answer', 'fromClient', 'send', CUT_AFTER],
  ['before the answer that it is stored', 'fromServer', 'stored', CUT_BEFORE],
  ['inside the answer that it is stored', 'fromServer', 'stored', CUT_INSIDE],
  ['after the answer that it is stored', 'fromServer', 'stored', CUT_AFTER],
];

for (const [step, side, type, verdict] of STEPS) {
  test(`the line is cut ${step}: one copy, in its place`, async (scene) => {
    const { ada, bob, wire, room } = await pair(scene);
    const before = wire.sockets;
    wire[side] = once(type, room, verdict);
    await ada.write('second');
    await ada.write('third');
    await bob.sees('third');
    await ada.state('third', 'read');
    assert.ok(wire.sockets > before, 'the client came back on a new socket');
    assert.deepEqual(await (await scene.accountOf(bob)).texts(room), ['first', 'second', 'third']);
    for (const person of [ada, bob]) assert.deepEqual(await person.readAll(/first|second|third/), ['first', 'second', 'third']);
  });
}

test('the line is cut at the welcome, and again while the message is sent once more: one copy', async (scene) => {
  const { ada, bob, wire, room } = await pair(scene);
  let cuts = 0;
  wire.fromServer = (frames) => {
    const [type] = frames.map((frame) => frame.type).filter((one) => one === 'welcome' || one === 'stored');
    return type && (cuts += 1) <= 4 ? (cuts % 2 ? CUT_BEFORE : CUT_AFTER) : PASS;
  };
  wire.cut();
  await ada.write('second');
  await bob.sees('second');
  await ada.state('second', 'read');
  assert.ok(cuts >= 4, `${cuts}`);
  assert.deepEqual(await (await scene.accountOf(bob)).texts(room), ['first', 'second']);
});

test('what others wrote while the line was down is there when it is back, in order', async (scene) => {
  const { ada, bob, wire } = await pair(scene);
  wire.isDown = true;
  wire.cut();
  for (const word of ['a', 'b', 'c']) await bob.write(`missed ${word}.`);
  await bob.state('missed c.', 'sent');
  wire.isDown = false;
  await ada.sees('missed c.');
  assert.deepEqual(await ada.readAll(/missed \w\./), ['missed a.', 'missed b.', 'missed c.']);
});

test('a half-open connection is noticed by its silence, without the browser’s help', async (scene) => {
  const { ada, bob, wire, room } = await pair(scene);
  const before = wire.sockets;
  wire.isSilent = true;
  await ada.write('into the void');
  await ada.state('into the void', 'sending');
  await ada.page.getByRole('status').getByText('Reconnecting… You can go on writing.').waitFor();
  wire.isSilent = false;
  // What was swallowed is lost on those connections; new ones work.
  await bob.sees('into the void');
  await ada.state('into the void', 'read');
  assert.ok(wire.sockets > before);
  assert.deepEqual(await (await scene.accountOf(bob)).texts(room), ['first', 'into the void']);
});

test('a captive portal’s page is no answer: one stays in, and nothing is lost', async (scene) => {
  const { ada, bob, wire, room } = await pair(scene);
  await ada.isInstalled();
  const portal = (route) => route.fulfill({ status: 200, contentType: 'text/html', body: '<title>Welcome to the airport</title>' });
  await ada.context.route('**/v1/**', portal);
  // A portal lets no WebSocket through.
  wire.fromClient = () => CUT_BEFORE;
  wire.cut();
  await ada.write('from the airport');
  await ada.page.reload();
  await ada.sees('from the airport');
  await ada.page.getByRole('link', { name: /^People/ }).click();
  await ada.page.getByRole('searchbox', { name: 'Find people by name' }).fill(bob.username);
  await ada.page.getByText('The server cannot be reached.').waitFor();
  await ada.context.unroute('**/v1/**', portal);
  wire.fromClient = () => PASS;
  await bob.sees('from the airport');
  assert.deepEqual(await (await scene.accountOf(bob)).texts(room), ['first', 'from the airport']);
});

test('a token that has expired is renewed, on the socket and over HTTP, without a word', async (scene) => {
  const { ada, bob, wire } = await pair(scene);
  let refreshes = 0;
  ada.page.on('request', (request) => (refreshes += request.url().endsWith('/v1/sessions/refresh') ? 1 : 0));
  wire.closeWith(4401);
  await ada.write('after the socket’s end');
  await bob.sees('after the socket’s end');
  assert.equal(refreshes, 1);
  let refused = 0;
  await ada.context.route('**/v1/users?*', (route) => {
    if ((refused += 1) > 1) return route.continue();
    const body = JSON.stringify({ type: 'about:blank', title: 'Token expired', status: 401, code: 'token_expired' });
    return route.fulfill({ status: 401, contentType: 'application/problem+json', body });
  });
  await ada.page.getByRole('link', { name: /^People/ }).click();
  await ada.page.getByRole('searchbox', { name: 'Find people by name' }).fill(bob.username);
  await ada.page.getByRole('region', { name: 'Found' }).getByText(bob.displayName).waitFor();
  assert.equal(refreshes, 2);
});

test('a session that was revoked while away is told, and nothing of it stays', async (scene) => {
  const { ada, wire } = await pair(scene);
  const phone = await scene.device(ada);
  wire.isDown = true;
  wire.cut();
  await phone.goto('#/settings/sessions');
  await phone.page.getByRole('button', { name: /^Sign out / }).first().click();
  await phone.page.getByRole('button', { name: /^Sign out / }).waitFor({ state: 'detached' });
  wire.isDown = false;
  await ada.page.getByText('This device was signed out, here or from another device.').waitFor();
});
