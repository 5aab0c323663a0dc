import type { MessageRow, Receipts, RoomRow, Row, Timeline } from '../../core/interface';
import { useLanguage } from '../../language/language';
import { useReadable } from '../client';
import { minute } from '../clock';
import { Gap } from './gap';
import { Message } from './message';
import type { Receipt } from './message_label';
import { Notice } from './notice';
import { placeOf } from './place';
import { RoomStart } from './room_start';
import { ThreadReply } from './thread_reply';

export interface RowContext {
  readonly room: RoomRow;
  readonly timeline: Timeline;
  readonly receipts: Receipts;
  readonly newIndex: number;
  readonly activeIndex: number;
  readonly flash: string | undefined;
}

/** A row with the lines above it. */
export function RowView({ index, row, context }: { index: number; row: Row; context: RowContext }) {
  const { room, timeline, newIndex, activeIndex, flash } = context;
  const firstNew = index === newIndex;
  const place = placeOf(row, timeline.row(index - 1), firstNew);
  const active = index === activeIndex;
  const above = timeline.row(index - 1);
  const near = place.grouped || (!place.day && !firstNew && isSlim(row) && above !== undefined && isSlim(above));
  return (
    <div className={near ? 'row' : 'row row-apart'}>
      {index === 0 && !timeline.hasOlder && <RoomStart room={room} />}
      {place.day && row.type !== 'gap' && <DayLine at={row.at} />}
      {firstNew && <NewLine />}
      {row.type === 'gap' && <Gap room={room.id} row={row} active={active} />}
      {row.type === 'notice' && <Notice row={row} active={active} />}
      {row.type === 'message' && isSlim(row) && <ThreadReply row={row} active={active} />}
      {row.type === 'message' && (row.thread === undefined || row.state === 'failed') && (
        <Message row={row} grouped={place.grouped} receipt={receiptOf(row, context.receipts)} active={active} flash={flash === row.key} origin={originOf(row, timeline)} threadLink />
      )}
    </div>
  );
}

/** An answer in a thread is one line here; one that was refused shows in full, with what can be done. */
function isSlim(row: Row): boolean {
  return row.type === 'message' && row.thread !== undefined && !row.deleted && row.state !== 'failed';
}

export function receiptOf(row: MessageRow, receipts: Receipts): Receipt {
  if (!row.mine || row.seq === undefined) return 'none';
  if (row.seq <= receipts.readByAll) return 'read';
  return row.seq <= receipts.deliveredByAll ? 'delivered' : 'none';
}

function originOf(row: MessageRow, timeline: Timeline): MessageRow | undefined {
  if (row.replyTo === undefined) return undefined;
  const origin = timeline.row(timeline.indexOf(row.replyTo));
  return origin?.type === 'message' ? origin : undefined;
}

function DayLine({ at }: { at: number }) {
  const { dates } = useLanguage();
  const now = useReadable(minute);
  return <div className="day-line"><span>{dates.day(at, now)}</span></div>;
}

function NewLine() {
  const { say } = useLanguage();
  return <div className="new-line" data-new-line=""><span>{say('new_messages')}</span></div>;
}
