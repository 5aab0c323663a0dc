import { useMemo, useRef, useState, type FocusEvent, type KeyboardEvent } from 'react';
import { MessagesSquare, Plus } from 'lucide-react';
import { VirtualList, type CustomItemComponentProps, type VirtualizerHandle } from '../controls/virtual_list';
import type { RoomId, RoomRow } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { Button } from '../controls/button';
import { Empty, Skeleton } from '../controls/empty';
import { openDialog } from '../dialogs';
import { moveTo } from '../timeline/rove';
import { RoomLine } from './room_line';
import './rooms.css';

/** The rooms, the latest first. One of them is in the tab order; arrow keys move it. */
export function RoomList({ current }: { current: RoomId | undefined }) {
  const client = useClient();
  const say = useWords();
  const list = useReadable(client.rooms);
  const [focused, setFocused] = useState<RoomId>();
  const [showHidden, setShowHidden] = useState(false);
  const scroller = useRef<HTMLDivElement>(null);
  const handle = useRef<VirtualizerHandle>(null);
  const rows = useMemo(() => (showHidden ? [...list.rows, ...list.hidden] : list.rows), [list, showHidden]);
  const reachable = Math.max(0, rows.findIndex((row) => row.id === (focused ?? current)));

  const onFocus = (event: FocusEvent<HTMLAnchorElement>) => setFocused(event.currentTarget.dataset['room']);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const next = moveTo(event.key, reachable, rows.length);
    if (next === undefined) return;
    event.preventDefault();
    const row = rows[next];
    if (!row) return;
    setFocused(row.id);
    handle.current?.scrollToIndex(next, { align: 'nearest' });
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-room="${CSS.escape(row.id)}"]`)?.focus());
  };

  if (!list.loaded && rows.length === 0) return <Skeleton lines={7} label={say('loading')} />;
  if (rows.length === 0 && list.hidden.length === 0) {
    return (
      <Empty icon={MessagesSquare} title={say('no_rooms')} actions={<Button look="primary" icon={Plus} onClick={() => openDialog({ kind: 'create' })}>{say('new_chat')}</Button>}>
        {say('no_rooms_text')}
      </Empty>
    );
  }
  return (
    <div className="room-list" ref={scroller} onKeyDown={onKeyDown}>
      <VirtualList ref={handle} data={rows} as="ul" item={Item} keepMounted={[reachable]}>
        {(room: RoomRow, index) => <RoomLine key={room.id} room={room} current={room.id === current} reachable={index === reachable} onFocus={onFocus} />}
      </VirtualList>
      {list.hidden.length > 0 && (
        <button type="button" className="room-list-hidden" aria-expanded={showHidden} onClick={() => setShowHidden(!showHidden)}>
          {say(showHidden ? 'hide_hidden' : 'show_hidden', { count: list.hidden.length })}
        </button>
      )}
    </div>
  );
}

/** Not all lines are mounted, so each says which of how many it is. */
function Item({ index, ref, style, children }: CustomItemComponentProps) {
  const client = useClient();
  const { rows } = useReadable(client.rooms);
  return <li ref={ref as never} style={style} aria-posinset={index + 1} aria-setsize={Math.max(rows.length, index + 1)}>{children}</li>;
}
