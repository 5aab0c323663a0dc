import type { Say } from '../../language/words';

/** Keys as they are written on this keyboard: `Ctrl K` is "Strg K" in German, and ⌘ on a Mac, where it does the same. */
export function keyNames(keys: string, say: Say): string {
  const mac = typeof navigator !== 'undefined' && /mac|iphone|ipad/i.test(navigator.userAgent);
  return keys.replace(/Ctrl|Shift/g, (key) => (key === 'Shift' ? say('key_shift') : mac ? '⌘' : say('key_ctrl')));
}
