import { useCallback, useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { VirtualList, type VirtualizerHandle } from '../controls/virtual_list';
import type { MessageRow, Seq } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { Composer } from '../composer/composer';
import { focusComposer } from '../composer/drafts';
import { Skeleton } from '../controls/empty';
import { byTouch } from '../controls/touch';
import { PanelFrame } from '../layout/panel_frame';
import type { RoomFace } from '../room/face';
import { go } from '../route';
import { MessageActionsContext } from '../timeline/actions';
import { DeleteQuestion, useListActions } from '../timeline/list_actions';
import { Message } from '../timeline/message';
import { placeOf } from '../timeline/place';
import { moveTo } from '../timeline/rove';
import { originOf, receiptOf } from '../timeline/row_view';
import { onRowKey } from '../timeline/row_keys';
import './thread.css';

/** Within this of the end the list follows what comes, px. */
const END_WITHIN = 60;

/** One thread: its first message, the answers, and a place to answer. */
export default function ThreadPanel({ room, root }: { room: RoomFace; root: Seq }) {
  const client = useClient();
  const say = useWords();
  const thread = useReadable(client.thread(room.id, root));
  const receipts = useReadable(client.receipts(room.id));
  const settings = useReadable(client.settings);
  const [active, setActive] = useState<string>();
  const scroller = useRef<HTMLDivElement>(null);
  const handle = useRef<VirtualizerHandle>(null);
  const atEnd = useRef(true);
  const close = () => {
    go({ page: 'room', room: room.id });
    focusRow(thread.root?.key);
  };
  const jump = useCallback((seq: Seq) => go({ page: 'room', room: room.id, at: seq }), [room.id]);
  const list = useListActions(room, root, jump);
  const rows: readonly MessageRow[] = thread.root ? [thread.root, ...thread.rows] : thread.rows;
  const activeIndex = Math.max(0, rows.findIndex((row) => row.key === (active ?? rows[rows.length - 1]?.key)));

  // Also when all rows were dropped, as this device was too far behind.
  const { loading } = thread;
  const loaded = useRef(false);
  useEffect(() => {
    if (loaded.current && !loading) return;
    loaded.current = true;
    void client.loadThread(room.id, root).catch(() => undefined);
  }, [client, room.id, root, loading]);
  // A finger opens it to read: the keyboard would cover half of the screen.
  useEffect(() => void (byTouch() || focusComposer(root)), [root]);
  const last = rows[rows.length - 1];
  useEffect(() => {
    if (last && (atEnd.current || last.mine)) handle.current?.scrollToIndex(rows.length - 1, { align: 'end' });
  }, [rows.length, last]);

  useEffect(() => {
    const seen = () => {
      const newest = last?.seq ?? thread.rows.findLast((row) => row.seq !== undefined)?.seq;
      if (newest !== undefined && atEnd.current && document.visibilityState === 'visible' && document.hasFocus()) client.markThreadRead(room.id, root, newest);
    };
    seen();
    window.addEventListener('focus', seen);
    return () => window.removeEventListener('focus', seen);
  }, [client, room.id, root, last, thread]);

  const onScroll = (offset: number) => {
    const view = handle.current;
    if (view) atEnd.current = view.scrollSize - offset - view.viewportSize < END_WITHIN;
  };

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const element = event.target as HTMLElement;
    if (event.key === 'Escape' && scroller.current?.contains(element)) {
      event.preventDefault();
      return close();
    }
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
          <VirtualList ref={handle} data={rows} onScroll={onScroll} keepMounted={rows.length > 0 ? [activeIndex] : []}>
            {(row: MessageRow, index) => (
              <div key={row.key} className={index === 0 && thread.root ? 'thread-root' : 'thread-answer'} onFocus={() => setActive(row.key)}>
                <Message row={row} grouped={index > 1 && placeOf(row, rows[index - 1], false).grouped} receipt={receiptOf(row, receipts)} active={index === activeIndex} flash={false} origin={originOf(row, client.timeline(room.id).get(), rows)} />
                {index === 0 && thread.root && <p className="thread-count">{say('replies', { count: thread.rows.length })}</p>}
              </div>
            )}
          </VirtualList>
          {thread.more && <button type="button" className="more" onClick={() => void client.loadThread(room.id, root)}>{say('load_more')}</button>}
        </div>
        <DeleteQuestion {...list} />
      </MessageActionsContext>
      <Composer key={root} room={room} thread={root} onLeave={close} />
    </PanelFrame>
  );
}

/** The way back leads to where one came from: the thread's first message, else the text field. */
function focusRow(key: string | undefined): void {
  requestAnimationFrame(() => {
    const row = key === undefined ? null : document.querySelector<HTMLElement>(`.timeline [data-row="${CSS.escape(key)}"]`);
    if (row) row.focus({ preventScroll: true });
    else focusComposer();
  });
}
