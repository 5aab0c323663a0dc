/** Behind HAProxy and NGINX, as they are documented: page, calls and WebSocket by TLS, and a reload under open pages. */
import assert from 'node:assert/strict';
import { Balancer, trusting } from './support/balancer.mjs';
import { stage } from './support/stage.mjs';

const test = stage({ settings: "api: {trustedProxies: ['127.0.0.1/32'], publicUrl: 'https://localhost'}\n", flags: trusting() });

/** Addresses of WebSockets that pages of this person open. */
function sockets(person) {
  const opened = [];
  person.page.on('websocket', (socket) => opened.push(socket));
  return opened;
}

for (const product of ['haproxy', 'nginx']) {
  test(`people sign up, chat and edit by TLS behind ${product}, and its reload loses nothing`, async (scene) => {
    const balancer = await Balancer.before(scene.server, product);
    try {
      const ada = await scene.stranger('Ada', { wire: balancer });
      const opened = sockets(ada);
      await ada.signUp();
      const bob = await scene.person('Bob', { wire: balancer });
      await ada.chatWith(bob);
      await ada.write('frist');
      await bob.openRoom(ada.displayName);
      await bob.sees('frist');
      await ada.menuOf('frist', 'Edit');
      await ada.write('first');
      await bob.sees('first');
      await bob.missing('frist');
      assert.ok(opened.length > 0 && opened.every((socket) => socket.url().startsWith(`wss://localhost:${balancer.port}/`)), 'the socket goes by TLS');

      const before = opened.length;
      for (let number = 0; number < 3; number += 1) {
        const reloaded = balancer.reload();
        await ada.write(`under reload ${number}`);
        await reloaded;
        await bob.write(`after reload ${number}`);
        await ada.sees(`after reload ${number}`);
        await bob.sees(`under reload ${number}`);
      }
      assert.equal(opened.length, before, 'old workers keep the sockets they have');
      // A page that is opened now goes by the new worker.
      await bob.page.reload();
      await bob.sees('after reload 2');
      await ada.write('and on');
      await bob.sees('and on');
      const expected = ['first', ...[0, 1, 2].flatMap((number) => [`under reload ${number}`, `after reload ${number}`]), 'and on'];
      const said = await (await scene.accountOf(bob)).texts(ada.roomId());
      assert.deepEqual([...said].sort(), [...expected].sort(), 'each once');
    } finally {
      balancer.stop();
    }
  });
}
