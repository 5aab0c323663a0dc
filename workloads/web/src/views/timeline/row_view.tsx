import { memo } from 'react';
import type { MessageRow, Receipts, Row, Timeline } from '../../core/interface';
import { useLanguage } from '../../language/language';
import { useReadable } from '../client';
import { minute } from '../clock';
import type { RoomFace } from '../room/face';
import { Gap } from './gap';
import { Message } from './message';
import type { Receipt } from './message_label';
import { Notice } from './notice';
import { placeOf } from './place';
import { RoomStart } from './room_start';
import { ThreadReply } from './thread_reply';

interface Props {
  readonly room: RoomFace;
  readonly row: Row;
  readonly above: Row | undefined;
  /** Nothing of the room stands before it. */
  readonly starts: boolean;
  readonly firstNew: boolean;
  readonly active: boolean;
  readonly flash: boolean;
  readonly receipt: Receipt;
  readonly origin: MessageRow | undefined;
}

/** A row with the lines above it. It draws anew only when something about it changed: the list asks for it at each step. */
export const RowView = memo(function RowView({ room, row, above, starts, firstNew, active, flash, receipt, origin }: Props) {
  const place = placeOf(row, above, firstNew);
  const near = place.grouped || (!place.day && !firstNew && isSlim(row) && above !== undefined && isSlim(above));
  return (
    <div className={near ? 'row' : 'row row-apart'}>
      {starts && <RoomStart room={room} />}
      {place.day && row.type !== 'gap' && <DayLine at={row.at} />}
      {firstNew && <NewLine />}
      {row.type === 'gap' && <Gap room={room.id} row={row} active={active} />}
      {row.type === 'notice' && <Notice row={row} active={active} />}
      {row.type === 'message' && isSlim(row) && <ThreadReply row={row} active={active} />}
      {row.type === 'message' && (row.thread === undefined || row.state === 'failed') && (
        <Message row={row} grouped={place.grouped} receipt={receipt} active={active} flash={flash} origin={origin} threadLink />
      )}
    </div>
  );
});

/** An answer in a thread is one line here; one that was refused shows in full, with what can be done. */
function isSlim(row: Row): boolean {
  return row.type === 'message' && row.thread !== undefined && !row.deleted && row.state !== 'failed';
}

export function receiptOf(row: Row, receipts: Receipts): Receipt {
  if (row.type !== 'message' || !row.mine || row.seq === undefined) return 'none';
  if (row.seq <= receipts.readByAll) return 'read';
  return row.seq <= receipts.deliveredByAll ? 'delivered' : 'none';
}

/** What a row answers, if it is held: in the room, else among these rows of a thread. */
export function originOf(row: Row, timeline: Timeline, thread: readonly MessageRow[] = []): MessageRow | undefined {
  if (row.type !== 'message' || row.replyTo === undefined) return undefined;
  const origin = timeline.row(timeline.indexOf(row.replyTo)) ?? thread.find((one) => one.seq === row.replyTo);
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
