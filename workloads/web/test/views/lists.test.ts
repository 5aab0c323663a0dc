import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const VIEWS = fileURLToPath(new URL('../../src/views/', import.meta.url));
/** The one file that knows the library: its type lets rows in as data only. */
const DOOR = join('controls', 'virtual_list.tsx');

test('long lists go through the one door that takes no rows as children', () => {
  const files = readdirSync(VIEWS, { recursive: true, encoding: 'utf8' }).filter((file) => /\.tsx?$/.test(file));
  const others = files.filter((file) => /from 'virtua'/.test(readFileSync(join(VIEWS, file), 'utf8')));
  expect(others).toEqual([DOOR]);
  const lists = files.flatMap((file) => readFileSync(join(VIEWS, file), 'utf8').match(/<VirtualList[\s\S]*?<\/VirtualList>/g) ?? []);
  expect(lists.length).toBeGreaterThan(3);
  for (const list of lists) expect(list).toMatch(/data=\{[^}]+\}[\s\S]*>\s*\{\s*\(/);
});
