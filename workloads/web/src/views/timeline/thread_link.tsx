import { Pencil } from 'lucide-react';
import type { MessageRow, Replies } from '../../core/interface';
import { useLanguage } from '../../language/language';
import { useClient, useReadable } from '../client';
import { minute } from '../clock';
import { draftFor } from '../composer/drafts';
import { Avatar } from '../controls/avatar';
import { useName } from '../controls/person';
import { useMessageActions } from './actions';

/** Under a thread's first message: who answered, how often, when last, and what is new. */
export function ThreadLink({ row, replies, reachable }: { row: MessageRow; replies: Replies; reachable: boolean }) {
  const { say, dates } = useLanguage();
  const client = useClient();
  const { openThread, room } = useMessageActions();
  const draft = useReadable(draftFor(client, room.id, row.seq ?? 0)).text !== '';
  const now = useReadable(minute);
  const count = say(replies.complete ? 'replies' : 'replies_or_more', { count: replies.count });
  return (
    <button type="button" className="thread-link" tabIndex={reachable ? 0 : -1} onClick={() => openThread(row.seq ?? 0)}>
      <span className="thread-faces" aria-hidden="true">{[...replies.people].reverse().map((user) => <Face key={user} user={user} />)}</span>
      <span className="thread-link-count">{count}</span>
      {replies.unread > 0 && <span className="thread-link-new">{say('replies_new', { count: replies.unread })}</span>}
      {draft && <span className="thread-link-draft"><Pencil size={12} aria-hidden /> {say('draft')}</span>}
      <span className="thread-link-last">{say('last_reply', { when: dates.ago(replies.lastAt, now) })}</span>
    </button>
  );
}

function Face({ user }: { user: string }) {
  return <Avatar id={user} name={useName(user)} small />;
}
