import { memo } from 'react';
import { MessagesSquare } from 'lucide-react';
import type { MessageRow } from '../../core/interface';
import { useLanguage } from '../../language/language';
import { useName } from '../controls/person';
import { useMessageActions } from './actions';
import { bodyLabel, messageLabel } from './message_label';

/** A reply that lives in a thread: one slim line here, the whole in the panel. */
export const ThreadReply = memo(function ThreadReply({ row, active }: { row: MessageRow; active: boolean }) {
  const { say, dates } = useLanguage();
  const name = useName(row.sender);
  const { openThread } = useMessageActions();
  return (
    <article className="thread-reply" data-row={row.key} tabIndex={active ? 0 : -1} aria-label={`${say('label_in_thread')}, ${messageLabel(row, name, dates.time(row.at), 'none', say)}`}>
      <button type="button" tabIndex={active ? 0 : -1} onClick={() => openThread(row.thread ?? 0)}>
        <MessagesSquare size={14} aria-hidden />
        <bdi className="reply-name">{name}</bdi>
        <span className="reply-text" dir="auto">{bodyLabel(row, say, 160)}</span>
        <time dateTime={new Date(row.at).toISOString()}>{dates.time(row.at)}</time>
      </button>
    </article>
  );
});
