import { memo, type FocusEvent, type MouseEvent } from 'react';
import { AtSign, BellOff, CircleAlert, Pencil } from 'lucide-react';
import type { RoomId, RoomRow } from '../../core/interface';
import { useLanguage } from '../../language/language';
import { useReadable } from '../client';
import { minute } from '../clock';
import { openToWrite } from '../composer/drafts';
import { Avatar, PresenceDot } from '../controls/avatar';
import { useName } from '../controls/person';
import { byTouch } from '../controls/touch';
import { plainText } from '../markdown/parse';
import { formatRoute } from '../route';

/** Counts above this are shown as "99+". */
const COUNT_SHOWN = 99;
/** Characters of the last message in the list. */
const PREVIEW_CHARACTERS = 100;

interface Props {
  readonly room: RoomRow;
  readonly current: boolean;
  readonly reachable: boolean;
  readonly onFocus: (event: FocusEvent<HTMLAnchorElement>) => void;
}

export const RoomLine = memo(function RoomLine({ room, current, reachable, onFocus }: Props) {
  const { say, dates } = useLanguage();
  const now = useReadable(minute);
  const muted = room.notify === 'none';
  const unread = (room.unread > 0 || room.markedUnread) && !muted;
  const classes = ['room-line', current ? 'room-line-current' : '', unread ? 'room-line-unread' : '', muted ? 'room-line-muted' : ''];
  return (
    <a
      className={classes.filter(Boolean).join(' ')}
      href={formatRoute({ page: 'room', room: room.id })}
      data-room={room.id}
      tabIndex={reachable ? 0 : -1}
      aria-current={current ? 'page' : undefined}
      onFocus={onFocus}
      onClick={(event) => onClick(event, room.id)}
    >
      <span className="avatar-stack">
        <Avatar id={room.peer?.id ?? room.id} name={room.title} room={room.kind === 'group'} />
        {room.peer && <PresenceDot user={room.peer.id} />}
      </span>
      <span className="room-line-words">
        <span className="room-line-top">
          <bdi className="room-line-title">{room.title}</bdi>
          {muted && <BellOff size={13} role="img" aria-label={say('muted')} />}
          {room.lastMessage && <time dateTime={new Date(room.lastAt).toISOString()}>{dates.short(room.lastAt, now)}</time>}
        </span>
        <span className="room-line-bottom">
          <Preview room={room} current={current} />
          {room.failed > 0 && <CircleAlert className="room-line-failed" size={16} role="img" aria-label={say('room_failed')} />}
          <Badge room={room} />
        </span>
      </span>
    </a>
  );
});

/** Who clicks a room wants to write in it. By touch that would open a keyboard over it; by key the focus stays in the list. */
function onClick(event: MouseEvent, room: RoomId): void {
  const byKey = event.detail === 0;
  const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
  if (byKey || elsewhere || byTouch()) return;
  event.preventDefault();
  openToWrite(room);
}

function Preview({ room, current }: { room: RoomRow; current: boolean }) {
  const { say } = useLanguage();
  const last = room.lastMessage;
  // The open room's draft is in view.
  if (room.hasDraft && !current) return <span className="room-line-preview room-line-draft"><Pencil size={12} aria-hidden /> {say('draft')}</span>;
  if (!last) return <span className="room-line-preview">{say('no_messages')}</span>;
  const text = last.deleted ? say('message_deleted') : last.kind === 'text' ? plainText(last.text, PREVIEW_CHARACTERS) : say('message_unknown');
  if (last.mine) return <span className="room-line-preview" dir="auto">{say('preview_mine', { text })}</span>;
  if (room.kind === 'direct') return <span className="room-line-preview" dir="auto">{text}</span>;
  return <OtherPreview sender={last.sender} text={text} />;
}

function OtherPreview({ sender, text }: { sender: string; text: string }) {
  const name = useName(sender).split(/\s/)[0];
  return <span className="room-line-preview"><bdi>{name}</bdi>: <bdi>{text}</bdi></span>;
}

function Badge({ room }: { room: RoomRow }) {
  const { say } = useLanguage();
  if (room.mentions > 0) {
    return (
      <span className="badge badge-mention">
        <AtSign size={11} strokeWidth={2.75} aria-hidden />
        <span aria-hidden="true">{shown(room.mentions)}</span>
        <span className="unseen">{say('mentions', { count: room.mentions })}</span>
      </span>
    );
  }
  if (room.unread > 0) {
    return (
      <span className={room.notify === 'none' ? 'badge badge-muted' : 'badge'}>
        <span aria-hidden="true">{shown(room.unread)}</span>
        <span className="unseen">{say('unread', { count: room.unread })}</span>
      </span>
    );
  }
  return room.markedUnread ? <span className="badge badge-dot"><span className="unseen">{say('marked_unread')}</span></span> : null;
}

function shown(count: number): string {
  return count > COUNT_SHOWN ? `${COUNT_SHOWN}+` : String(count);
}
