import { memo } from 'react';
import type { NoticeRow } from '../../core/interface';
import { useLanguage } from '../../language/language';
import type { Say } from '../../language/words';
import { useName } from '../controls/person';

/** Isolates a name put into a sentence: U+2068 and U+2069, so that its direction stays its own. */
const isolate = (text: string) => `\u2068${text}\u2069`;

function sentence(row: NoticeRow, sender: string, user: string, say: Say): string {
  const values = { sender: isolate(sender), user: isolate(user) };
  const self = row.user === undefined || row.user === row.sender;
  switch (row.kind) {
    case 'member_joined':
      return say(self ? 'notice_joined' : 'notice_added', values);
    case 'member_left':
      return say(self ? 'notice_left' : 'notice_removed', values);
    case 'role_changed':
      return say('notice_role', { ...values, role: say(`role_${row.role ?? 'member'}`) });
    case 'room_changed':
      return row.name ? say('notice_renamed', { ...values, name: isolate(row.name) }) : say('notice_changed', values);
  }
}

export const Notice = memo(function Notice({ row, active }: { row: NoticeRow; active: boolean }) {
  const { say, dates } = useLanguage();
  const text = sentence(row, useName(row.sender), useName(row.user ?? row.sender), say);
  return (
    <article className="notice" data-row={row.key} tabIndex={active ? 0 : -1} aria-label={`${text}, ${dates.time(row.at)}`}>
      <span>{text}</span> <time dateTime={new Date(row.at).toISOString()}>{dates.time(row.at)}</time>
    </article>
  );
});
