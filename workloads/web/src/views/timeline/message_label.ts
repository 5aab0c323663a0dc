import type { MessageRow } from '../../core/interface';
import type { Say } from '../../language/words';
import { plainText } from '../markdown/parse';

export type Receipt = 'none' | 'delivered' | 'read';
export type ShownState = 'queued' | 'sending' | 'sent' | 'delivered' | 'read' | 'failed';

/** Longest text read out in a row's label, characters; the whole stands inside. */
const LABEL_CHARACTERS = 400;

export function shownState(row: MessageRow, receipt: Receipt): ShownState {
  if (row.state !== 'sent' || receipt === 'none') return row.state;
  return receipt;
}

/** The one sentence a screen reader says for a message: author, time, text, reactions, state. */
export function messageLabel(row: MessageRow, name: string, time: string, receipt: Receipt, say: Say): string {
  const parts = [name, time, bodyLabel(row, say)];
  if (row.replyTo !== undefined) parts.push(say('label_reply'));
  if (row.editedAt !== undefined && !row.deleted) parts.push(say('edited'));
  if (row.replies) parts.push(say('replies', { count: row.replies.count }));
  for (const reaction of row.reactions) parts.push(say('label_reaction', { emoji: reaction.emoji, count: reaction.count }));
  if (row.mine && !row.deleted) parts.push(say(`state_${shownState(row, receipt)}`));
  return parts.join(', ');
}

export function bodyLabel(row: MessageRow, say: Say, characters = LABEL_CHARACTERS): string {
  if (row.deleted) return say('message_deleted');
  if (row.expired) return say('message_expired');
  if (row.kind !== 'text') return say('message_unknown');
  return plainText(row.text, characters);
}
