import type { KeyboardEvent } from 'react';
import type { MessageRow } from '../../core/interface';
import { mayAnswer, mayEdit, mayRemove, type MessageActions } from './actions';

/** Keys on a message that has the focus. Those of a single letter can be turned off. */
export function onRowKey(event: KeyboardEvent<HTMLElement>, row: MessageRow, actions: MessageActions, letters: boolean): void {
  const done = act(event.key, event.target as HTMLElement, row, actions, letters);
  if (done) event.preventDefault();
}

function act(key: string, element: HTMLElement, row: MessageRow, actions: MessageActions, letters: boolean): boolean {
  if (key === 'Enter') return focusFirstTool(element);
  if (key === 'Delete' && mayRemove(row, actions.room)) return actions.remove(row), true;
  if (!letters) return false;
  switch (key.toLowerCase()) {
    case 'r':
      if (mayAnswer(row)) actions.reply(row);
      return true;
    case 'e':
      if (mayEdit(row)) actions.edit(row);
      return true;
    case 't':
      if (mayAnswer(row) && !actions.inThread) actions.openThread(row.thread ?? row.seq ?? 0);
      return true;
    case '+':
      element.querySelector<HTMLElement>('[data-emoji-button]')?.click();
      return true;
    default:
      return false;
  }
}

function focusFirstTool(element: HTMLElement): boolean {
  const tool = element.querySelector<HTMLElement>('.message-tools button[tabindex="0"], button[tabindex="0"]');
  tool?.focus();
  return tool !== null;
}
