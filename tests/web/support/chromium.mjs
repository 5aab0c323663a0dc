/** Debian's Chromium, driven by the playwright-core that the web client brings along. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const WEB = path.join(ROOT, 'workloads/web');

const load = createRequire(path.join(WEB, 'package.json'));
const { chromium } = load('playwright-core');
export const AXE = load.resolve('axe-core/axe.min.js');

/** How long anything may take to show on a busy machine, ms. No test waits this long unless it fails. */
export const PATIENCE_MS = 30_000;

/** One browser; playwright ends it with this process, also by a signal. `flags`: more of Chromium's own. */
export function launch(flags = []) {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', ...flags] });
}
