import { createContext, useContext } from 'react';
import type { MessageRow, Seq } from '../../core/interface';
import type { RoomFace } from '../room/face';

/** What can be done with a message, the same object for all rows of a list. */
export interface MessageActions {
  readonly room: RoomFace;
  /** Rows stand in the thread panel: no way into the thread they are in. */
  readonly inThread: boolean;
  readonly reply: (row: MessageRow) => void;
  readonly edit: (row: MessageRow) => void;
  readonly remove: (row: MessageRow) => void;
  readonly react: (row: MessageRow, emoji: string) => void;
  readonly openThread: (root: Seq) => void;
  readonly jump: (seq: Seq) => void;
}

export const MessageActionsContext = createContext<MessageActions | undefined>(undefined);

export function useMessageActions(): MessageActions {
  const actions = useContext(MessageActionsContext);
  if (!actions) throw new Error('a message was rendered outside of a list');
  return actions;
}

export function mayEdit(row: MessageRow): boolean {
  return row.mine && row.kind === 'text' && !row.deleted && !row.expired && row.seq !== undefined;
}

export function mayRemove(row: MessageRow, room: RoomFace): boolean {
  if (row.deleted || row.seq === undefined) return false;
  return row.mine || (room.kind === 'group' && room.role !== 'member');
}

export function mayAnswer(row: MessageRow): boolean {
  return row.seq !== undefined && !row.deleted;
}
