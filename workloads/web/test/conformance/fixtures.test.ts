import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { run, type Fixture } from './fixture';
import { written } from './write';

const FOLDER = fileURLToPath(new URL('../../../../tests/samples/client/', import.meta.url));
/** Writes what the engine says into the files; what changed is then to be read, and the Rust client has to agree. */
const BLESS = process.env['KLATCH_BLESS'] === '1';

const files = readdirSync(FOLDER).filter((file) => file.endsWith('.json'));

describe('fixtures shared with the Rust client', () => {
  test('there are some', () => expect(files.length).toBeGreaterThan(24));

  test.each(files)('%s', (file) => {
    const fixture = JSON.parse(readFileSync(FOLDER + file, 'utf8')) as Fixture;
    const { steps, outcome } = run(fixture);
    if (BLESS) {
      steps.forEach((told, place) => (fixture.steps[place]!.expect = told));
      fixture.expect = outcome;
      writeFileSync(FOLDER + file, written(fixture));
      return;
    }
    steps.forEach((told, place) => expect(plain(told), `step ${place}`).toEqual(fixture.steps[place]?.expect));
    expect(plain(outcome)).toEqual(fixture.expect);
  });
});

/** As JSON has it: without what is undefined. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
