import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { ArrowDown, ArrowUp, MessageCircle } from 'lucide-react';
import { VirtualList } from '../controls/virtual_list';
import type { Row, Seq } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { useAnnouncements } from '../announce/announcer';
import { Empty, Skeleton } from '../controls/empty';
import type { RoomFace } from '../room/face';
import { MessageActionsContext } from './actions';
import { DeleteQuestion, useListActions } from './list_actions';
import { onRowKey } from './row_keys';
import { moveTo, useRove } from './rove';
import { RowView, originOf, receiptOf } from './row_view';
import { newIndex, useNewLine } from './new_line';
import { RoomStart } from './room_start';
import { useScroll } from './scroll';
import { useSizes } from './sizes';
import './timeline.css';

/** A room's messages. Only the rows in view are mounted, however many there are. */
export function TimelineView({ room, at }: { room: RoomFace; at: Seq | undefined }) {
  const client = useClient();
  const say = useWords();
  const timeline = useReadable(client.timeline(room.id));
  const receipts = useReadable(client.receipts(room.id));
  const settings = useReadable(client.settings);
  const line = useNewLine(client, room.id);
  const scroller = useRef<HTMLDivElement>(null);
  const scroll = useScroll(client, room.id, timeline, line.after, scroller);
  const sizes = useSizes(room.id, timeline, scroll.list);
  const rove = useRove(timeline, scroll.list, scroller);
  const first = newIndex(timeline, line.after);
  const { jump } = scroll;
  const { focusIndex } = rove;
  const jumpTo = useCallback((seq: Seq) => void jump(seq).then((index) => index >= 0 && focusIndex(index)), [jump, focusIndex]);
  const list = useListActions(room, undefined, jumpTo);
  useAnnouncements(timeline, room.id);

  useEffect(() => {
    if (at !== undefined) jumpTo(at);
  }, [at, jumpTo]);

  const before = useRef(timeline);
  // Of a list that was not measured yet nothing is held in place: it would wait for an event of scrolling, and stay empty.
  const shift = before.current.prepended !== timeline.prepended && before.current.length > 0 && scroll.isMeasured();
  useLayoutEffect(() => {
    before.current = timeline;
  });

  // An array-like without elements: rows are asked for by index, never copied.
  const data = useMemo<ArrayLike<undefined>>(() => ({ length: timeline.length }), [timeline]);

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const target = event.target as HTMLElement;
    // Keys of menus and pickers come here too: React passes them up to what opened them.
    if (!scroller.current?.contains(target)) return;
    const onRow = target.hasAttribute('data-row') || target === scroller.current;
    if (event.key === 'Escape' && !onRow) return focusIndex(rove.activeIndex);
    if (!onRow || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = moveTo(event.key, rove.activeIndex, timeline.length);
    if (next !== undefined) {
      event.preventDefault();
      focusIndex(target === scroller.current ? rove.activeIndex : next);
      return;
    }
    const row = timeline.row(rove.activeIndex);
    if (row?.type === 'message') onRowKey(event, row, list.actions, settings.singleKeyShortcuts);
  };

  const toNew = (row: Row | undefined) => row?.type === 'message' && row.seq !== undefined && scroll.toRow(row.seq, 'start');
  const newBelow = useNewBelow(timeline.appended, scroll.atEnd);
  return (
    <MessageActionsContext value={list.actions}>
      <div className="timeline-frame">
        <div
          ref={scroller}
          className="timeline"
          role="log"
          aria-live="off"
          aria-label={say('messages_in', { room: room.title })}
          data-region="timeline"
          tabIndex={timeline.length === 0 ? 0 : -1}
          onKeyDown={onKeyDown}
          onFocus={rove.onFocus}
        >
          {timeline.loading && timeline.length === 0 && !timeline.error && <Skeleton lines={8} label={say('loading')} />}
          {timeline.length === 0 && timeline.error && <Empty icon={MessageCircle} title={say('timeline_error')}>{say('timeline_error_text')}</Empty>}
          {timeline.length === 0 && !timeline.loading && !timeline.error && <RoomStart room={room} />}
          <div className="timeline-push" />
          <VirtualList
            ref={scroll.list}
            data={data}
            shift={shift}
            bufferSize={400}
            {...(sizes && { cache: sizes })}
            keepMounted={rove.kept}
            onScroll={scroll.onScroll}
            onResize={scroll.onResize}
          >
            {(_, index) => {
              const row = timeline.row(index);
              if (!row) return <div key={index} />;
              return (
                <RowView
                  key={row.key}
                  room={room}
                  row={row}
                  above={timeline.row(index - 1)}
                  starts={index === 0 && !timeline.hasOlder}
                  firstNew={index === first}
                  active={index === rove.activeIndex}
                  flash={row.key === scroll.flash}
                  receipt={receiptOf(row, receipts)}
                  origin={originOf(row, timeline)}
                />
              );
            }}
          </VirtualList>
        </div>
        {timeline.loadingOlder && timeline.length > 0 && <p className="timeline-older" role="status">{say('loading_older')}</p>}
        {first >= 0 && scroll.newIsAbove && (
          <button type="button" className="timeline-pill timeline-pill-up" onClick={() => toNew(timeline.row(first))}>
            <ArrowUp size={15} aria-hidden /> {say('jump_to_unread')}
          </button>
        )}
        {!scroll.atEnd && (
          <button type="button" className="timeline-pill timeline-pill-down" onClick={() => { line.clear(); scroll.toEnd(); }}>
            <ArrowDown size={15} aria-hidden /> {newBelow > 0 ? say('new_below', { count: newBelow }) : say('jump_to_latest')}
          </button>
        )}
      </div>
      <DeleteQuestion {...list} />
    </MessageActionsContext>
  );
}

/** Rows that came while the end was out of view. */
function useNewBelow(appended: number, atEnd: boolean): number {
  const [base, setBase] = useState(appended);
  if (atEnd && base !== appended) setBase(appended);
  return atEnd ? 0 : appended - base;
}
