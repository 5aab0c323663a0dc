import { useEffect } from 'react';
import type { Client } from '../../core/interface';
import { openToWrite } from '../composer/drafts';
import { dialog, openDialog } from '../dialogs';
import { currentRoute, go } from '../route';
import { commandOf, neighbour, type Command } from './keys';
import { cycleRegion } from './regions';

/** Listens for the page-wide keys while the user is signed in. */
export function useCommands(client: Client): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return;
      const command = commandOf(event);
      if (command && (dialog.get().kind === 'none' || command === 'switcher') && perform(client, command)) event.preventDefault();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [client]);
}

function perform(client: Client, command: Command): boolean {
  switch (command) {
    case 'switcher':
      return openDialog({ kind: 'switcher' }), true;
    case 'shortcuts':
      return openDialog({ kind: 'shortcuts' }), true;
    case 'new-chat':
      return openDialog({ kind: 'create' }), true;
    case 'settings':
      return go({ page: 'settings' }), true;
    case 'next-region':
      return cycleRegion(1), true;
    case 'previous-region':
      return cycleRegion(-1), true;
    case 'mark-read':
      return markRead(client);
    default:
      return toRoom(client, command);
  }
}

function toRoom(client: Client, command: Command): boolean {
  const route = currentRoute();
  const current = route.page === 'room' ? route.room : undefined;
  const step = command === 'next-room' || command === 'next-unread' ? 1 : -1;
  const row = neighbour(client.rooms.get().rows, current, step, command.endsWith('unread'));
  if (!row) return true;
  openToWrite(row.id);
  return true;
}

function markRead(client: Client): boolean {
  if (document.querySelector('[role="menu"], [role="dialog"], [role="listbox"]')) return false;
  const route = currentRoute();
  const room = route.page === 'room' ? client.room(route.room).get() : undefined;
  if (!room) return false;
  client.markRead(room.id, room.headSeq);
  dispatchEvent(new CustomEvent('klatch-read'));
  return true;
}
