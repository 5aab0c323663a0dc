import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from 'react';
import type { VirtualizerHandle } from '../controls/virtual_list';
import type { Client, RoomId, Seq, Timeline } from '../../core/interface';
import { needsLoading, newIndex } from './new_line';

/** Older rows are asked for when the first one is this near, px. */
const OLDER_WITHIN = 800;
/** Within this of the end counts as at the end, px. */
const END_WITHIN = 60;
/** How long a row that was jumped to stays marked, ms. */
const FLASH_MS = 2_400;
/** Above the first new row this much of the old stays in view, px. */
const CONTEXT = 120;

/** What tells that the user moves the list, not a measurement. */
const HANDS = ['wheel', 'touchstart', 'pointerdown', 'keydown'] as const;

interface Aim {
  readonly index: number;
  readonly align: 'start' | 'center';
}

/** Where the list stands: it follows the end, opens at the first unread row, and jumps where it is asked to. */
export function useScroll(client: Client, room: RoomId, timeline: Timeline, newAfter: Seq | undefined, scroller: RefObject<HTMLElement | null>) {
  const list = useRef<VirtualizerHandle>(null);
  const stick = useRef(true);
  /** The row that was asked for: while rows are being measured the list comes back to it, until the user moves. */
  const aim = useRef<Aim>(undefined);
  const placed = useRef(-1);
  /** The first unread row is being loaded: what is shown meanwhile is not read. */
  const seeking = useRef(false);
  const lastOffset = useRef(0);
  /** The end was in view when it was last scrolled. */
  const sawEnd = useRef(false);
  const [atEnd, setAtEnd] = useState(true);
  const [flash, setFlash] = useState<string>();
  const [firstShown, setFirstShown] = useState(0);
  const latest = useRef(timeline);
  latest.current = timeline;

  const toEnd = useCallback(() => {
    stick.current = true;
    aim.current = undefined;
    setAtEnd(true);
    if (latest.current.length > 0) list.current?.scrollToIndex(latest.current.length - 1, { align: 'end' });
  }, []);

  /** The user asks for the end: nothing else is sought any more. */
  const jumpToEnd = useCallback(() => {
    seeking.current = false;
    toEnd();
  }, [toEnd]);

  const read = useCallback(() => {
    const handle = list.current;
    if (!handle || seeking.current || document.visibilityState !== 'visible' || !document.hasFocus()) return;
    let index = stick.current ? latest.current.length - 1 : handle.findItemIndex(offsetOf(handle, aim.current) + handle.viewportSize - 8);
    for (; index >= 0; index--) {
      const row = latest.current.row(index);
      if (row?.type !== 'gap' && row?.seq !== undefined) return client.markRead(room, row.seq);
    }
  }, [client, room]);

  const toAim = useCallback(() => {
    if (!aim.current) return;
    const { index, align } = aim.current;
    list.current?.scrollToIndex(index, align === 'start' ? { align, offset: -CONTEXT } : { align });
  }, []);

  /** Where the list stands after it was moved or measured, and what of it is thereby read. */
  const look = useCallback(() => {
    const handle = list.current;
    if (!handle) return;
    if (isAtEnd(handle, offsetOf(handle, aim.current))) {
      // All up to the end is in view: from here on it is followed.
      stick.current = true;
      aim.current = undefined;
    }
    setAtEnd(stick.current);
    read();
  }, [read]);

  const toIndex = useCallback(
    (index: number, align: 'start' | 'center') => {
      stick.current = false;
      aim.current = { index, align };
      toAim();
      // A list that fits into its frame does not scroll, so no event tells where it stands. In the next frame it is measured.
      requestAnimationFrame(() => requestAnimationFrame(look));
    },
    [toAim, look],
  );

  useEffect(() => {
    const element = scroller.current;
    const free = () => {
      aim.current = undefined;
    };
    for (const hand of HANDS) element?.addEventListener(hand, free, { passive: true });
    return () => {
      for (const hand of HANDS) element?.removeEventListener(hand, free);
    };
  }, [scroller]);

  // The text field grows, a banner comes: what was at the end stays there.
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      if (stick.current || (sawEnd.current && !aim.current && !seeking.current)) toEnd();
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [scroller, toEnd]);

  const { prepended } = timeline;
  useLayoutEffect(() => {
    aim.current = undefined;
  }, [prepended]);

  const jump = useCallback(
    async (seq: Seq): Promise<number> => {
      if (client.timeline(room).get().indexOf(seq) < 0) await client.loadAround(room, seq).catch(() => false);
      latest.current = client.timeline(room).get();
      const index = latest.current.indexOf(seq);
      const row = latest.current.row(index);
      if (!row) return -1;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      toIndex(index, 'center');
      setFlash(row.key);
      setTimeout(() => setFlash((now) => (now === row.key ? undefined : now)), FLASH_MS);
      return index;
    },
    [client, room, toIndex],
  );

  // The place is found once a room is shown, and again after all rows were dropped.
  useLayoutEffect(() => {
    if (timeline.length === 0 || placed.current === timeline.resets) return;
    const first = placed.current < 0;
    placed.current = timeline.resets;
    if (first && newAfter !== undefined && needsLoading(timeline, newAfter)) {
      seeking.current = true;
      stick.current = false;
      const found = () => requestAnimationFrame(() => {
        // The user has asked for the end meanwhile.
        if (!seeking.current) return;
        seeking.current = false;
        const index = newIndex(latest.current, newAfter);
        if (index >= 0) toIndex(index, 'start');
        else toEnd();
        look();
      });
      void client.loadAround(room, newAfter + 1).then(found, found);
      return;
    }
    const index = first ? newIndex(timeline, newAfter) : -1;
    if (index >= 0) toIndex(index, 'start');
    else toEnd();
  }, [client, room, timeline, newAfter, toEnd, toIndex, look]);

  const appended = useRef(timeline.appended);
  useLayoutEffect(() => {
    const last = timeline.row(timeline.length - 1);
    // What one has just written is always shown.
    const wrote = appended.current !== timeline.appended && last?.type === 'message' && last.mine && last.seq === undefined;
    appended.current = timeline.appended;
    if (stick.current || wrote) toEnd();
    // What is aimed at is not measured yet: `look` reads it.
    if (!aim.current) read();
  }, [timeline, toEnd, read]);

  useEffect(() => {
    const back = () => read();
    window.addEventListener('focus', back);
    document.addEventListener('visibilitychange', back);
    return () => {
      window.removeEventListener('focus', back);
      document.removeEventListener('visibilitychange', back);
    };
  }, [read]);

  const onScroll = useCallback(
    (offset: number) => {
      const handle = list.current;
      if (!handle) return;
      const end = isAtEnd(handle, offset);
      if (end && !aim.current) stick.current = true;
      else if (offset < lastOffset.current - 2) stick.current = false;
      lastOffset.current = offset;
      sawEnd.current = end;
      setAtEnd(end || stick.current);
      setFirstShown(handle.findItemIndex(offset));
      const { hasOlder, loadingOlder, error } = latest.current;
      if (offset < OLDER_WITHIN && hasOlder && !loadingOlder && !error) void client.loadOlder(room).catch(() => undefined);
      read();
    },
    [client, room, read],
  );

  const onResize = useCallback(() => {
    if (stick.current) toEnd();
    else toAim();
    look();
  }, [toEnd, toAim, look]);

  return { list, atEnd, flash, firstShown, toEnd: jumpToEnd, toIndex, jump, onScroll, onResize };
}

/** Where the list stands, or will as soon as the browser has scrolled it to what was asked for. */
function offsetOf(list: VirtualizerHandle, aim: Aim | undefined): number {
  if (!aim) return list.scrollOffset;
  const top = list.getItemOffset(aim.index);
  const wanted = aim.align === 'start' ? top - CONTEXT : top - (list.viewportSize - list.getItemSize(aim.index)) / 2;
  return Math.max(0, Math.min(wanted, list.scrollSize - list.viewportSize));
}

function isAtEnd(list: VirtualizerHandle, offset: number): boolean {
  return list.scrollSize - offset - list.viewportSize < END_WITHIN;
}
