import { useCallback, useRef, useState, type FocusEvent, type RefObject } from 'react';
import type { VirtualizerHandle } from '../controls/virtual_list';
import type { Timeline } from '../../core/interface';

/** Rows a press of Page Up or Down goes. */
const PAGE = 10;

/** Frames a row may take to be mounted and measured. */
const SEEK_FRAMES = 30;

/** Where a key moves the focus in a list of `length`; undefined when it is no such key. */
export function moveTo(key: string, index: number, length: number): number | undefined {
  const last = length - 1;
  switch (key) {
    case 'ArrowUp':
      return Math.max(0, index - 1);
    case 'ArrowDown':
      return Math.min(last, index + 1);
    case 'PageUp':
      return Math.max(0, index - PAGE);
    case 'PageDown':
      return Math.min(last, index + PAGE);
    case 'Home':
      return 0;
    case 'End':
      return last;
    default:
      return undefined;
  }
}

/** Where a row stands now that stood at `index`; rows came before it, so it is looked for from there. */
export function indexOfKey(timeline: Timeline, key: string, index: number): number {
  if (timeline.row(index)?.key === key) return index;
  for (let distance = 1; distance < timeline.length; distance++) {
    if (timeline.row(index + distance)?.key === key) return index + distance;
    if (timeline.row(index - distance)?.key === key) return index - distance;
  }
  return -1;
}

/** One row is in the tab order; arrow keys move it. The list keeps that row mounted, so focus is never lost by scrolling. */
export function useRove(timeline: Timeline, list: RefObject<VirtualizerHandle | null>, scroller: RefObject<HTMLElement | null>) {
  const [active, setActive] = useState<{ key: string; index: number; prepended: number; from: number }>();
  const latest = useRef(timeline);
  latest.current = timeline;

  const found = active ? indexOfKey(timeline, active.key, active.index + timeline.prepended - active.prepended) : -1;
  const activeIndex = found >= 0 ? found : timeline.length - 1;

  const focusIndex = useCallback(
    (index: number) => {
      const row = latest.current.row(index);
      if (!row) return;
      // The row that has the focus stays until the next one has it: between them the focus would fall to the page.
      setActive((before) => ({ key: row.key, index, prepended: latest.current.prepended, from: before?.index ?? index }));
      const seek = (tries: number) => {
        const element = scroller.current?.querySelector<HTMLElement>(`[data-row="${CSS.escape(row.key)}"]`);
        element?.focus({ preventScroll: true });
        list.current?.scrollToIndex(index, { align: 'nearest' });
        // A row that was not measured yet is hidden and takes no focus.
        if (tries > 0 && document.activeElement !== element) requestAnimationFrame(() => seek(tries - 1));
      };
      seek(SEEK_FRAMES);
    },
    [list, scroller],
  );

  const onFocus = useCallback((event: FocusEvent<HTMLElement>) => {
    const key = (event.target as HTMLElement).closest<HTMLElement>('[data-row]')?.dataset['row'];
    if (!key) return;
    const index = indexOfKey(latest.current, key, latest.current.length - 1);
    if (index >= 0) setActive({ key, index, prepended: latest.current.prepended, from: index });
  }, []);

  const kept = active && found >= 0 ? [found, Math.min(active.from, timeline.length - 1)] : [];
  return { activeIndex, kept, focusIndex, onFocus };
}
