/** Counts and bytes of the budgets that cost little to measure: bundles, requests, rows mounted, layout shift. Times are told by `budgets` alone. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BUDGETS = fileURLToPath(new URL('./budgets', import.meta.url));

for (const part of ['bundle', 'start', 'switch']) {
  test(`the budgets of ${part} hold`, async () => {
    const run = spawn(process.execPath, [BUDGETS, part], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const pipe of [run.stdout, run.stderr]) pipe.on('data', (bytes) => (said += bytes));
    const code = await new Promise((resolve) => run.on('close', resolve));
    assert.equal(code, 0, said);
  });
}
