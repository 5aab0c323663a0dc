import { useEffect, useState } from 'react';
import type { Client, RoomId, Seq, Timeline } from '../../core/interface';

/**
 * Where the new-messages line stands: after what was read when the room was opened, or when the page lost the focus. It does
 * not move while one reads. `clear` takes it away.
 */
export function useNewLine(client: Client, room: RoomId) {
  const [after, setAfter] = useState<Seq | undefined>(() => unreadFrom(client, room));
  useEffect(() => {
    const left = () => setAfter(client.room(room).get()?.headSeq);
    const read = () => setAfter(undefined);
    window.addEventListener('blur', left);
    window.addEventListener('klatch-read', read);
    return () => {
      window.removeEventListener('blur', left);
      window.removeEventListener('klatch-read', read);
    };
  }, [client, room]);
  return { after, clear: () => setAfter(undefined) };
}

function unreadFrom(client: Client, room: RoomId): Seq | undefined {
  const facts = client.room(room).get();
  return facts && (facts.unread > 0 || facts.headSeq > facts.readSeq) ? facts.readSeq : undefined;
}

/** The first message of others after the line; -1 when there is none. That somebody joined is no message. */
export function newIndex(timeline: Timeline, after: Seq | undefined): number {
  if (after === undefined) return -1;
  let index = timeline.indexAfter(after);
  if (index < 0) return -1;
  while (timeline.row(index)?.type === 'notice') index++;
  const row = timeline.row(index);
  return row?.type === 'message' && !row.mine ? index : -1;
}

/** A room that was never read and is not longer than this begins at its first entry; who joins a longer one begins at its end. */
const NEVER_READ_ENTRIES = 500;

/** The first unread row may lie before what is held, or in a gap: then it must be loaded first. */
export function needsLoading(timeline: Timeline, after: Seq): boolean {
  const index = timeline.indexAfter(after);
  if (index < 0) return false;
  if (index === 0) {
    const first = timeline.row(0);
    const isShort = first !== undefined && first.type !== 'gap' && first.seq !== undefined && first.seq <= NEVER_READ_ENTRIES;
    return timeline.hasOlder && (after > 0 || isShort);
  }
  return timeline.row(index)?.type === 'gap' || timeline.row(index - 1)?.type === 'gap';
}
