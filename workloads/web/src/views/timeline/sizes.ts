import { useLayoutEffect, useRef, useState, type RefObject } from 'react';
import type { RoomId, Timeline } from '../../core/interface';
import type { CacheSnapshot, VirtualizerHandle } from '../controls/virtual_list';

/** Rooms whose rows' sizes are kept. */
const ROOMS = 32;
/** Rooms of more rows are measured anew, as others are for the first time: 8 bytes a row. */
const ROWS = 5_000;

interface Kept {
  readonly sizes: CacheSnapshot;
  readonly length: number;
  readonly first: string | undefined;
  readonly last: string | undefined;
}

const kept = new Map<RoomId, Kept>();

/** How large the rows of a room were when it was left: with that it opens in one step, and not in as many as it takes to measure it. */
export function useSizes(room: RoomId, timeline: Timeline, list: RefObject<VirtualizerHandle | null>): CacheSnapshot | undefined {
  const [sizes] = useState(() => sizesOf(room, timeline));
  const latest = useRef(timeline);
  latest.current = timeline;
  useLayoutEffect(
    () => () => {
      const { current: rows } = latest;
      const { current: handle } = list;
      if (!handle || rows.length === 0 || rows.length > ROWS) return;
      // The one left last comes last: the first ones go.
      kept.delete(room);
      kept.set(room, { sizes: handle.cache, length: rows.length, first: rows.row(0)?.key, last: rows.row(rows.length - 1)?.key });
      for (const oldest of kept.keys()) if (kept.size > ROOMS) kept.delete(oldest);
    },
    [room, list],
  );
  return sizes;
}

/** Only of the very same rows; a row that has another size meanwhile is measured as it is drawn. */
function sizesOf(room: RoomId, timeline: Timeline): CacheSnapshot | undefined {
  const known = kept.get(room);
  if (!known || known.length !== timeline.length || known.first !== timeline.row(0)?.key || known.last !== timeline.row(timeline.length - 1)?.key) return undefined;
  return known.sizes;
}
