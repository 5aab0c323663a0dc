import { memo, useCallback, useState, useSyncExternalStore } from 'react';
import type { MessageRow, UserId } from '../../core/interface';
import { useLanguage, useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { Avatar } from '../controls/avatar';
import { nameOf, useProfile } from '../controls/person';
import { Markdown, type FindMention } from '../markdown/markdown';
import { Failure } from './failure';
import { messageLabel, type Receipt } from './message_label';
import { MessageState } from './message_state';
import { MessageTools } from './message_tools';
import { Reactions } from './reactions';
import { ReplyQuote } from './reply_quote';
import { ThreadLink } from './thread_link';
import './message.css';

export interface MessageProps {
  readonly row: MessageRow;
  readonly grouped: boolean;
  readonly receipt: Receipt;
  /** Holds the list's one place in the tab order. */
  readonly active: boolean;
  readonly flash: boolean;
  readonly origin: MessageRow | undefined;
  /** Show the way into the thread that begins with it. */
  readonly threadLink?: boolean;
}

/** One message. It draws anew only when something about it changed. */
export const Message = memo(function Message({ row, grouped, receipt, active, flash, origin, threadLink = false }: MessageProps) {
  const { say, dates } = useLanguage();
  const profile = useProfile(row.sender);
  const name = nameOf(profile, say('somebody'));
  const mention = useMentions(row);
  const [near, setNear] = useState(false);
  const [held, setHeld] = useState(false);
  /** Its tools would be cut off by the list's upper edge. */
  const [low, setLow] = useState(false);
  const classes = ['message', grouped ? 'message-grouped' : '', flash ? 'message-flash' : '', row.mentionsMe && !row.mine ? 'message-mentions-me' : '', row.state === 'failed' ? 'message-failed' : ''];
  return (
    <article
      className={classes.filter(Boolean).join(' ')}
      data-row={row.key}
      tabIndex={active ? 0 : -1}
      aria-label={messageLabel(row, name, dates.time(row.at), receipt, say)}
      onPointerEnter={(event) => {
        setNear(true);
        setLow(isAtTop(event.currentTarget));
      }}
      onPointerLeave={() => setNear(false)}
    >
      <div className="message-side">
        {grouped ? <time className="message-side-time" dateTime={new Date(row.at).toISOString()}>{dates.time(row.at)}</time> : <Avatar id={row.sender} name={name} />}
      </div>
      <div className="message-main">
        {row.replyTo !== undefined && <ReplyQuote seq={row.replyTo} origin={origin} reachable={active} />}
        {!grouped && (
          <header className="message-head">
            <bdi className="message-sender">{name}</bdi>
            <time title={dates.full(row.at)} dateTime={new Date(row.at).toISOString()}>{dates.time(row.at)}</time>
          </header>
        )}
        <div className="message-line">
          <MessageBody row={row} mention={mention} reachable={active} />
          {!row.deleted && (row.mine || row.editedAt !== undefined) && (
            <span className="message-marks">
              {row.editedAt !== undefined && <span className="message-edited" title={dates.full(row.editedAt)}>{say('edited')}</span>}
              {row.mine && <MessageState row={row} receipt={receipt} />}
            </span>
          )}
        </div>
        <Failure row={row} reachable={active} />
        {row.reactions.length > 0 && <Reactions row={row} reachable={active} />}
        {threadLink && row.replies && <ThreadLink row={row} replies={row.replies} reachable={active} />}
      </div>
      {(near || active || held) && <MessageTools row={row} reachable={active} low={low} onHold={setHeld} />}
    </article>
  );
});

/** Room the tools take above a message, px. */
const TOOLS_ABOVE = 20;

function isAtTop(message: HTMLElement): boolean {
  const list = message.closest('[role="log"]');
  return list !== null && message.getBoundingClientRect().top - list.getBoundingClientRect().top < TOOLS_ABOVE;
}

function MessageBody({ row, mention, reachable }: { row: MessageRow; mention: FindMention; reachable: boolean }) {
  const say = useWords();
  if (row.deleted) return <p className="message-gone">{say('message_deleted')}</p>;
  if (row.expired) return <p className="message-gone">{say('message_expired')}</p>;
  if (row.kind !== 'text') return <p className="message-gone">{say('message_unknown')}</p>;
  return (
    <div className="message-text">
      <Markdown text={row.text} mention={mention} reachable={reachable} />
    </div>
  );
}

/** Only who the message really mentions is marked: a bare "@name" of somebody else stays text. */
export function useMentions(row: MessageRow): FindMention {
  const client = useClient();
  const account = useReadable(client.account);
  const me = account.state === 'signed-in' ? account.user : '';
  const { users, room } = row.mentions;
  const subscribe = useCallback((tell: () => void) => {
    const ends = users.map((user) => client.profile(user).subscribe(tell));
    return () => ends.forEach((end) => end());
  }, [client, users]);
  // Their names, as one value: they may come later than the message.
  const names = useSyncExternalStore(subscribe, () => users.map((user) => client.profile(user).get()).map((one) => (one ? `${one.username} ${one.displayName}` : '')).join('\n'));
  return useCallback<FindMention>(
    (username) => {
      if (room && username === 'room') return { name: 'room', me: true };
      const found = users.map((user: UserId) => client.profile(user).get()).find((profile) => profile?.username.toLowerCase() === username.toLowerCase());
      return found && { name: nameOf(found, username), me: found.id === me };
    },
    [client, users, room, me, names],
  );
}
