/**
 * Where a list stands among its rows, and who moved it: no browser, no React. Rows are measured only once they are drawn, so a
 * list moves by itself all the time; only what nothing else can explain was a hand, and only a hand takes it from its place.
 */
import type { Seq } from '../../core/interface';

/** Within this of the end counts as at the end, px. */
const END_WITHIN = 60;
/** A list that moved by no more than this was not moved, px: browsers round. */
const STILL = 2;

export type Align = 'start' | 'center';

export type Place =
  /** At the end, which is followed as rows come. */
  | { readonly at: 'end' }
  /** At this row, to which the list comes back while rows around it are measured. */
  | { readonly at: 'row'; readonly seq: Seq; readonly align: Align }
  /** The row to open at is being loaded: what shows meanwhile was not asked for. */
  | { readonly at: 'loading' }
  /** Where a hand has put it. */
  | { readonly at: 'hand' };

/** What a browser tells of a scroller, px: how far it is scrolled, how much there is, how much of it shows. */
export interface Frame {
  readonly offset: number;
  readonly size: number;
  readonly height: number;
}

export interface Standing {
  readonly place: Place;
  /** How it was seen last; undefined when something but a hand moves it or may have moved it since. */
  readonly seen: Frame | undefined;
  /** A hand was on it since it last stood at its place. */
  readonly touched: boolean;
}

/** `go`: the list must be brought to its place. */
export interface Step {
  readonly standing: Standing;
  readonly go: boolean;
}

export const OPENING: Standing = { place: { at: 'end' }, seen: undefined, touched: false };

/** The end or a row was asked for, or was found to be where the list opens. */
export function asked(place: Place): Step {
  return { standing: { place, seen: undefined, touched: false }, go: true };
}

/** Rows came at the end. What one has just written oneself is always shown. */
export function appended(standing: Standing, wrote: boolean): Step {
  if (wrote) return asked({ at: 'end' });
  return standing.place.at === 'end' ? { standing: { ...standing, seen: undefined }, go: true } : still(standing);
}

/** Wheel, finger, pointer or key: what moves next may be its doing. */
export function touched(standing: Standing): Standing {
  if (standing.place.at === 'row') return { ...standing, place: { at: 'hand' } };
  return standing.place.at === 'end' ? { ...standing, touched: true } : standing;
}

/** Rows or the frame have another size now. */
export function measured(standing: Standing): Step {
  const { at } = standing.place;
  return { standing: { ...standing, seen: undefined }, go: at === 'end' || at === 'row' };
}

/** The scroller is scrolled to another offset. */
export function scrolled(standing: Standing, frame: Frame): Step {
  const { place, seen } = standing;
  const end = isEnd(frame);
  const byHand = standing.touched || (seen !== undefined && isMovedAlone(seen, frame));
  switch (place.at) {
    case 'end':
      if (end) return still({ place, seen: frame, touched: false });
      if (byHand) return still({ place: { at: 'hand' }, seen: frame, touched: false });
      // Something moved it that is no hand: back to the end.
      return { standing: { ...standing, seen: undefined }, go: true };
    case 'row':
      return still({ place: byHand ? { at: 'hand' } : place, seen: frame, touched: false });
    case 'hand':
      return still({ place: end ? { at: 'end' } : place, seen: frame, touched: false });
    case 'loading':
      return still({ ...standing, seen: frame });
  }
}

/** Nothing was measured or moved for some frames: where it stands now it stays. With the end in view the end is followed. */
export function settled(standing: Standing, frame: Frame): Step {
  const follows = standing.place.at !== 'loading' && isEnd(frame);
  return still({ place: follows ? { at: 'end' } : standing.place, seen: frame, touched: false });
}

/** Whether the end shows, or will at once; undefined while rows are being measured and nobody can tell. */
export function showsEnd({ place, seen }: Standing): boolean | undefined {
  return place.at === 'end' || (seen && isEnd(seen));
}

function still(standing: Standing): Step {
  return { standing, go: false };
}

function isEnd({ offset, size, height }: Frame): boolean {
  return size - offset - height < END_WITHIN;
}

/** Neither rows nor frame have changed, so neither explains that it moved. */
function isMovedAlone(before: Frame, now: Frame): boolean {
  return before.size === now.size && before.height === now.height && Math.abs(now.offset - before.offset) > STILL;
}
