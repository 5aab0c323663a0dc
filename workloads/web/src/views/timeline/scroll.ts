import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from 'react';
import type { VirtualizerHandle } from '../controls/virtual_list';
import type { Client, RoomId, Seq, Timeline } from '../../core/interface';
import { needsLoading, newIndex } from './new_line';
import { OPENING, appended, asked, measured, scrolled, settled, showsEnd, touched, type Align, type Frame, type Step } from './standing';

/** Older rows are asked for when the first one is this near, px. */
const OLDER_WITHIN = 800;
/** How long a row that was jumped to stays marked, ms. */
const FLASH_MS = 2_400;
/** Above the first new row this much of the old stays in view, px. */
const CONTEXT = 120;
/** A row counts as read when all but this much of it shows, px. */
const HARDLY_CUT = 8;
/** After this many frames without a measurement the rows in view are measured: drawn in one, seen by the browser in the next. */
const SETTLE_FRAMES = 3;

/** What tells that the user moves the list, not a measurement. */
const HANDS = ['wheel', 'touchstart', 'pointerdown', 'keydown'] as const;

/**
 * Brings the list to where `standing.ts` says it stands: it follows the end, opens at the first unread row, and jumps where it
 * is asked to. Tells the core what is thereby read.
 */
export function useScroll(client: Client, room: RoomId, timeline: Timeline, newAfter: Seq | undefined, scroller: RefObject<HTMLElement | null>) {
  const list = useRef<VirtualizerHandle>(null);
  const standing = useRef(OPENING);
  const latest = useRef(timeline);
  latest.current = timeline;
  const newFrom = useRef(newAfter);
  newFrom.current = newAfter;
  const settling = useRef(0);
  const [atEnd, setAtEnd] = useState(true);
  const [newIsAbove, setNewIsAbove] = useState(false);
  const [flash, setFlash] = useState<string>();

  const read = useCallback(() => {
    const handle = list.current;
    const { place } = standing.current;
    if (!handle || place.at === 'loading' || document.visibilityState !== 'visible' || !document.hasFocus()) return;
    const last = latest.current.length - 1;
    let index = place.at === 'end' ? last : handle.findItemIndex(handle.scrollOffset + handle.viewportSize - HARDLY_CUT);
    for (; index >= 0; index--) {
      const row = latest.current.row(index);
      if (row?.type !== 'gap' && row?.seq !== undefined) return client.markRead(room, row.seq);
    }
    // No row to read, as in a room nobody has written in: it was looked at all the same.
    const head = client.room(room).get()?.headSeq;
    if (place.at === 'end' && !latest.current.loading && head !== undefined) client.markRead(room, head);
  }, [client, room]);

  const take = useCallback(
    (step: Step) => {
      standing.current = step.standing;
      // Until it is known it stays as it was: a button that comes for three frames only flickers.
      setAtEnd((before) => showsEnd(step.standing) ?? before);
      const { place } = step.standing;
      const rows = latest.current;
      if (!step.go || !list.current) return;
      if (place.at === 'end' && rows.length > 0) list.current.scrollToIndex(rows.length - 1, { align: 'end' });
      const index = place.at === 'row' ? rows.indexOf(place.seq) : -1;
      if (place.at === 'row' && index >= 0) list.current.scrollToIndex(index, place.align === 'start' ? { align: 'start', offset: -CONTEXT } : { align: 'center' });
    },
    [],
  );

  /** Counts anew with each call. */
  const settle = useCallback(() => {
    cancelAnimationFrame(settling.current);
    const wait = (frames: number) => {
      settling.current = requestAnimationFrame(() => {
        if (frames > 1) return wait(frames - 1);
        if (scroller.current) take(settled(standing.current, frameOf(scroller.current)));
        read();
      });
    };
    wait(SETTLE_FRAMES);
  }, [scroller, take, read]);
  useEffect(() => () => cancelAnimationFrame(settling.current), []);

  const toEnd = useCallback(() => {
    take(asked({ at: 'end' }));
    settle();
  }, [take, settle]);

  const toRow = useCallback(
    (seq: Seq, align: Align) => {
      take(asked({ at: 'row', seq, align }));
      settle();
    },
    [take, settle],
  );

  const jump = useCallback(
    async (seq: Seq): Promise<number> => {
      if (client.timeline(room).get().indexOf(seq) < 0) await client.loadAround(room, seq).catch(() => false);
      latest.current = client.timeline(room).get();
      const index = latest.current.indexOf(seq);
      const row = latest.current.row(index);
      if (!row) return -1;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      toRow(seq, 'center');
      setFlash(row.key);
      setTimeout(() => setFlash((now) => (now === row.key ? undefined : now)), FLASH_MS);
      return index;
    },
    [client, room, toRow],
  );

  // The place is found once a room is shown, and again after all rows were dropped.
  const placed = useRef(-1);
  useLayoutEffect(() => {
    if (timeline.length === 0 || placed.current === timeline.resets) return;
    const first = placed.current < 0;
    placed.current = timeline.resets;
    const open = (rows: Timeline) => {
      const row = first ? rows.row(newIndex(rows, newAfter)) : undefined;
      if (row?.type === 'message' && row.seq !== undefined) toRow(row.seq, 'start');
      else toEnd();
    };
    if (!first || newAfter === undefined || !needsLoading(timeline, newAfter)) return open(timeline);
    take(asked({ at: 'loading' }));
    const found = () =>
      requestAnimationFrame(() => {
        // Meanwhile the user may have asked for another place.
        if (standing.current.place.at === 'loading') open(latest.current);
      });
    void client.loadAround(room, newAfter + 1).then(found, found);
  }, [client, room, timeline, newAfter, take, toEnd, toRow]);

  const lastKey = useRef<string>(undefined);
  useLayoutEffect(() => {
    const last = timeline.row(timeline.length - 1);
    const wrote = lastKey.current !== undefined && last?.key !== lastKey.current && last?.type === 'message' && last.mine && last.seq === undefined;
    lastKey.current = last?.key;
    take(appended(standing.current, wrote));
    // Rows around one that was asked for are not measured yet: they are read when the list has settled.
    if (standing.current.place.at !== 'row') read();
  }, [timeline, take, read]);

  useEffect(() => {
    const element = scroller.current;
    const hand = () => {
      standing.current = touched(standing.current);
    };
    for (const name of HANDS) element?.addEventListener(name, hand, { passive: true });
    window.addEventListener('focus', read);
    document.addEventListener('visibilitychange', read);
    return () => {
      for (const name of HANDS) element?.removeEventListener(name, hand);
      window.removeEventListener('focus', read);
      document.removeEventListener('visibilitychange', read);
    };
  }, [scroller, read]);

  const onScroll = useCallback(
    (offset: number) => {
      const handle = list.current;
      if (!handle || !scroller.current) return;
      take(scrolled(standing.current, frameOf(scroller.current)));
      const first = newIndex(latest.current, newFrom.current);
      setNewIsAbove(first >= 0 && handle.findItemIndex(offset) > first);
      const { hasOlder, loadingOlder, error } = latest.current;
      if (offset < OLDER_WITHIN && hasOlder && !loadingOlder && !error) void client.loadOlder(room).catch(() => undefined);
      if (standing.current.place.at === 'row') settle();
      else read();
    },
    [client, room, scroller, take, settle, read],
  );

  const wasMeasured = useRef(false);
  const isMeasured = useCallback(() => wasMeasured.current, []);
  const onResize = useCallback(() => {
    wasMeasured.current = true;
    take(measured(standing.current));
    settle();
  }, [take, settle]);

  return { list, atEnd, newIsAbove, flash, toEnd, toRow, jump, isMeasured, onScroll, onResize };
}

/** Of the browser, not of the list: what the list has counted may not be drawn yet. */
function frameOf({ scrollTop, scrollHeight, clientHeight }: HTMLElement): Frame {
  return { offset: scrollTop, size: scrollHeight, height: clientHeight };
}
