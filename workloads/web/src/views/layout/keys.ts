/** What the page-wide keys ask for. */
export type Command =
  | 'switcher' | 'shortcuts' | 'settings' | 'new-chat'
  | 'next-region' | 'previous-region'
  | 'next-room' | 'previous-room' | 'next-unread' | 'previous-unread'
  | 'mark-read';

export interface Key {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
}

/** The command of a key, wherever the focus is. None is a bare letter: those belong to single messages. */
export function commandOf(event: Key): Command | undefined {
  const command = event.ctrlKey || event.metaKey;
  if (event.key === 'F6') return event.shiftKey ? 'previous-region' : 'next-region';
  if (command && !event.altKey) {
    if (event.shiftKey) return event.key.toLowerCase() === 'k' ? 'new-chat' : event.key === '?' || event.key === '/' ? 'shortcuts' : undefined;
    if (event.key.toLowerCase() === 'k') return 'switcher';
    if (event.key === '/') return 'shortcuts';
    return event.key === ',' ? 'settings' : undefined;
  }
  if (event.altKey && !command) {
    if (event.key === 'ArrowUp') return event.shiftKey ? 'previous-unread' : 'previous-room';
    if (event.key === 'ArrowDown') return event.shiftKey ? 'next-unread' : 'next-room';
    return undefined;
  }
  return event.key === 'Escape' && !event.shiftKey && !command && !event.altKey ? 'mark-read' : undefined;
}

/** The room `step` further in the list, round its ends; with `unread` the next that has something new. */
export function neighbour<T extends { readonly id: string; readonly unread: number; readonly markedUnread: boolean }>(
  rows: readonly T[],
  current: string | undefined,
  step: 1 | -1,
  unread: boolean,
): T | undefined {
  const start = rows.findIndex((row) => row.id === current);
  for (let distance = 1; distance <= rows.length; distance++) {
    const from = start < 0 && step < 0 ? rows.length : start;
    const row = rows[(((from + step * distance) % rows.length) + rows.length) % rows.length];
    if (row && row.id !== current && (!unread || row.unread > 0 || row.markedUnread)) return row;
  }
  return undefined;
}
