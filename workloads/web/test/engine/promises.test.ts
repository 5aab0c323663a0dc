import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ROOM, World } from './server_model';

/** Steps after the trouble is over in which everything has to come right: more than any row of waits takes. */
const CALM_STEPS = 3_000;

/** Numbers from 0 to 1 that depend on the seed alone. */
function chances(seed: number): () => number {
  let state = seed + 1;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

test('whatever the network does: each message once, in the order said, and the log is the server’s', () => {
  const deed = fc.constantFrom('say', 'write', 'step', 'step', 'step', 'step', 'break', 'foreground');
  fc.assert(
    fc.property(fc.nat(), fc.array(deed, { minLength: 20, maxLength: 200 }), fc.constantFrom(0, 0.1, 0.4), (seed, deeds, trouble) => {
      const world = new World(chances(seed));
      world.tell({ type: 'start' });
      for (const deed of deeds) {
        if (deed === 'say') world.say(`message-${world.said.length}`);
        else if (deed === 'write') world.write();
        else if (deed === 'break') world.breakSocket();
        else if (deed === 'foreground') world.tell({ type: 'foreground' });
        else world.step(trouble);
      }
      for (let step = 0; step < CALM_STEPS; step += 1) world.step(0);
      const mine = world.log.filter((entry) => entry.sender.user === 'me').map((entry) => entry.message_id);
      expect(mine).toEqual(world.said);
      const rows = [...(world.engine.timeline(ROOM)?.rows ?? [])];
      expect(rows.map((row) => row.message_id)).toEqual(world.log.map((entry) => entry.message_id));
      expect(world.engine.outbox.length).toBe(0);
      const told = world.changes.flatMap((change) => (change.type === 'appended' ? change.entries : []));
      expect(told.map((entry) => entry.position.seq)).toEqual(world.log.map((entry) => entry.position.seq));
    }),
    { numRuns: 100 },
  );
});
