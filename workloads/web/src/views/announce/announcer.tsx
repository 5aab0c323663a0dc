import { useEffect, useRef } from 'react';
import type { MessageRow, RoomId, Timeline } from '../../core/interface';
import { useLanguage } from '../../language/language';
import { useClient, useReadable } from '../client';
import { nameOf } from '../controls/person';
import { bodyLabel } from '../timeline/message_label';
import { valueOf } from '../value';
import { AnnouncementBatch } from './batch';

const spoken = valueOf('');

/** Says something at once, for what the user just did. */
export function announce(text: string): void {
  // The same words twice are no change to a screen reader: a space at the end makes them one.
  spoken.set(spoken.get() === text ? `${text}\u00a0` : text);
}

/** The page's one polite live region. */
export function LiveRegion() {
  return <div className="unseen" aria-live="polite" aria-atomic="true" data-live-region="">{useReadable(spoken)}</div>;
}

/** Longest announcement of one message, characters. */
const SPOKEN_CHARACTERS = 160;

/** Speaks messages of others that come at the end of the open room; history that comes before is silent. */
export function useAnnouncements(timeline: Timeline, room: RoomId): void {
  const client = useClient();
  const { say } = useLanguage();
  const words = useRef(say);
  words.current = say;
  const batch = useRef<AnnouncementBatch>(undefined);
  batch.current ??= new AnnouncementBatch(announce, (count) => words.current('announce_many', { count }), {
    now: () => performance.now(),
    after: (ms, act) => {
      const timer = setTimeout(act, ms);
      return () => clearTimeout(timer);
    },
  });
  const seen = useRef({ room, appended: timeline.appended, resets: timeline.resets, loading: timeline.loading });

  useEffect(() => {
    const before = seen.current;
    seen.current = { room, appended: timeline.appended, resets: timeline.resets, loading: timeline.loading };
    if (before.room !== room || before.resets !== timeline.resets || before.loading) return;
    for (const row of freshRows(timeline, timeline.appended - before.appended)) {
      const name = nameOf(client.profile(row.sender).get(), words.current('somebody'));
      batch.current?.add(words.current('announce_message', { name, text: bodyLabel(row, words.current, SPOKEN_CHARACTERS) }));
    }
  }, [client, timeline, room]);

  useEffect(() => () => batch.current?.drop(), [room]);
}

function freshRows(timeline: Timeline, count: number): MessageRow[] {
  const rows: MessageRow[] = [];
  for (let index = Math.max(0, timeline.length - count); index < timeline.length; index++) {
    const row = timeline.row(index);
    if (row?.type === 'message' && !row.mine) rows.push(row);
  }
  return rows;
}
