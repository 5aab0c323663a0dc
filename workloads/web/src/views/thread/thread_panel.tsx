import { useCallback, useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { Virtualizer, type VirtualizerHandle } from 'virtua';
import type { MessageRow, RoomRow, Seq } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { Composer } from '../composer/composer';
import { Skeleton } from '../controls/empty';
import { PanelFrame } from '../layout/panel_frame';
import { go } from '../route';
import { MessageActionsContext } from '../timeline/actions';
import { DeleteQuestion, useListActions } from '../timeline/list_actions';
import { Message } from '../timeline/message';
import { placeOf } from '../timeline/place';
import { moveTo } from '../timeline/rove';
import { receiptOf } from '../timeline/row_view';
import { onRowKey } from '../timeline/row_keys';
import './thread.css';

/** One thread: its first message, the answers, and a place to answer. */
export default function ThreadPanel({ room, root }: { room: RoomRow; root: Seq }) {
  const client = useClient();
  const say = useWords();
  const thread = useReadable(client.thread(room.id, root));
  const receipts = useReadable(client.receipts(room.id));
  const settings = useReadable(client.settings);
  const [active, setActive] = useState<string>();
  const scroller = useRef<HTMLDivElement>(null);
  const handle = useRef<VirtualizerHandle>(null);
  const close = () => go({ page: 'room', room: room.id });
  const jump = useCallback((seq: Seq) => go({ page: 'room', room: room.id, at: seq }), [room.id]);
  const list = useListActions(room, true, jump);
  const rows: readonly MessageRow[] = thread.root ? [thread.root, ...thread.rows] : thread.rows;
  const activeIndex = Math.max(0, rows.findIndex((row) => row.key === (active ?? rows[rows.length - 1]?.key)));

  useEffect(() => void client.loadThread(room.id, root).catch(() => undefined), [client, room.id, root]);
  useEffect(() => {
    if (rows.length > 0) handle.current?.scrollToIndex(rows.length - 1, { align: 'end' });
  }, [rows.length]);

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const element = event.target as HTMLElement;
    if (!scroller.current?.contains(element) || !element.hasAttribute('data-row') || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = moveTo(event.key, activeIndex, rows.length);
    const row = rows[next ?? activeIndex];
    if (!row) return;
    if (next === undefined) return onRowKey(event, row, list.actions, settings.singleKeyShortcuts);
    event.preventDefault();
    setActive(row.key);
    handle.current?.scrollToIndex(next, { align: 'nearest' });
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-row="${CSS.escape(row.key)}"]`)?.focus());
  };

  return (
    <PanelFrame className="thread" title={say('thread')} more={<bdi>{room.title}</bdi>} onClose={close}>
      <MessageActionsContext value={list.actions}>
        <div className="panel-body thread-body" ref={scroller} role="log" aria-live="off" aria-label={say('thread')} tabIndex={rows.length === 0 ? 0 : -1} onKeyDown={onKeyDown}>
          {rows.length === 0 && <Skeleton lines={3} label={say('loading')} />}
          <Virtualizer ref={handle} data={rows} keepMounted={rows.length > 0 ? [activeIndex] : []}>
            {(row: MessageRow, index) => (
              <div key={row.key} className={index === 0 && thread.root ? 'thread-root' : 'thread-answer'} onFocus={() => setActive(row.key)}>
                <Message row={row} grouped={index > 1 && placeOf(row, rows[index - 1], false).grouped} receipt={receiptOf(row, receipts)} active={index === activeIndex} flash={false} origin={undefined} />
                {index === 0 && thread.root && <p className="thread-count">{say('replies', { count: thread.rows.length })}</p>}
              </div>
            )}
          </Virtualizer>
          {thread.more && <button type="button" className="more" onClick={() => void client.loadThread(room.id, root)}>{say('load_more')}</button>}
        </div>
        <DeleteQuestion {...list} />
      </MessageActionsContext>
      <Composer key={root} room={room} thread={root} />
    </PanelFrame>
  );
}
