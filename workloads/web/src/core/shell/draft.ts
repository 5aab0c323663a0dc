import type { Message } from '../interface';
import type { Draft } from '../wire/entry';

/** What goes to the server of a message a view wrote. */
export function draftOf(message: Message): Draft {
  const { text, replyTo, thread, mentions, silent, expiresAt } = message;
  const users = mentions?.users ?? [];
  const calls = { ...(users.length > 0 && { users }), ...(mentions?.room && { room: true }) };
  return {
    kind: 'text',
    content: { text },
    ...(replyTo !== undefined && { reply_to: replyTo }),
    ...(thread !== undefined && { thread }),
    ...((users.length > 0 || mentions?.room) && { mentions: calls }),
    ...(silent && { silent }),
    ...(expiresAt !== undefined && { expires_at: new Date(expiresAt).toISOString() }),
  };
}
