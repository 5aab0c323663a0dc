import type { Fixture } from './fixture';

/** A fixture as text people can read and compare: a line an input, a line an effect. */
export function written(fixture: Fixture): string {
  const { steps, ...rest } = fixture;
  const lines = Object.entries(rest).map(([name, value]) => ` "${name}": ${JSON.stringify(value)}`);
  const told = steps.map(({ expect = [], ...step }) => {
    const effects = expect.map((effect) => `\n    ${JSON.stringify(effect)}`).join(',');
    return `  {${JSON.stringify(step).slice(1, -1)},\n   "expect": [${effects}]}`;
  });
  const place = lines.findIndex((line) => line.startsWith(' "expect"'));
  lines.splice(place < 0 ? lines.length : place, 0, ` "steps": [\n${told.join(',\n')}\n ]`);
  return `{\n${lines.join(',\n')}\n}\n`;
}
