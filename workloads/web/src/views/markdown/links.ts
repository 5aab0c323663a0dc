/** Only these leave the page. `javascript:`, `data:`, `blob:`, `file:` and all others stay text. */
const SAFE = new Set(['http:', 'https:', 'mailto:']);

/** Longest address that becomes a link, characters; beyond it the text stays text. */
const ADDRESS_CHARACTERS = 2048;

/** An absolute address that is safe to follow, in its normal form (direction marks and spaces percent-encoded). */
export function safeAddress(text: string): string | undefined {
  if (text.length > ADDRESS_CHARACTERS || !/^(https?:\/\/|mailto:)/i.test(text)) return undefined;
  try {
    const url = new URL(text);
    if (!SAFE.has(url.protocol) || url.username || url.password) return undefined;
    return url.href;
  } catch {
    return undefined;
  }
}

/** When a link's words look like another address than the one it leads to: the host to show beside them. */
export function hostBehind(label: string, href: string): string | undefined {
  const host = new URL(href).host;
  const claimed = /(?:^|\s|\/\/)((?:[\p{L}\p{N}-]+\.)+\p{L}{2,})/u.exec(label)?.[1];
  if (!claimed || !host) return undefined;
  return claimed.toLowerCase() === host || `www.${claimed.toLowerCase()}` === host ? undefined : host;
}

/** Where an address in running text ends: without the full stop or bracket that belongs to the sentence. */
export function trimAddress(text: string): string {
  let end = text.length;
  while (end > 0) {
    const last = text[end - 1] ?? '';
    if (/[.,;:!?'"*_~]/.test(last)) end--;
    else if (last === ')' && count(text, '(', end) < count(text, ')', end)) end--;
    else break;
  }
  return text.slice(0, end);
}

function count(text: string, letter: string, end: number): number {
  let found = 0;
  for (let index = 0; index < end; index++) if (text[index] === letter) found++;
  return found;
}
