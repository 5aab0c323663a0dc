import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OPENING, appended, asked, measured, scrolled, settled, showsEnd, touched, type Frame, type Standing, type Step } from '../../src/views/timeline/standing';

const HEIGHT = 600;
const frame = (offset: number, size = 10_000, height = HEIGHT): Frame => ({ offset, size, height });
const end = (size = 10_000, height = HEIGHT): Frame => frame(size - height, size, height);
/** What a list goes through, one after the other. */
const after = (standing: Standing, ...steps: readonly ((standing: Standing) => Step)[]): Standing => steps.reduce((now, step) => step(now).standing, standing);
const scroll = (to: Frame) => (standing: Standing) => scrolled(standing, to);
const settle = (at: Frame) => (standing: Standing) => settled(standing, at);
const atEnd = after(OPENING, () => asked({ at: 'end' }), scroll(end()), settle(end()));
const row = asked({ at: 'row', seq: 7, align: 'start' }).standing;

describe('at the end', () => {
  it('goes along with what comes and with what is measured', () => {
    expect(appended(atEnd, false)).toMatchObject({ go: true, standing: { place: { at: 'end' } } });
    expect(measured(atEnd)).toMatchObject({ go: true, standing: { place: { at: 'end' } } });
  });

  it('is left by whoever scrolls up, with or without a wheel', () => {
    expect(scrolled(atEnd, frame(9_000)).standing.place.at).toBe('hand');
    expect(scrolled(touched(measured(atEnd).standing), frame(9_000)).standing.place.at).toBe('hand');
  });

  it('is not left because rows turned out larger or smaller than they were thought to be', () => {
    // The estimate of all rows above shrinks: the list is moved up by thousands of pixels, and nobody did it.
    const moved = scrolled(measured(atEnd).standing, frame(3_000, 6_000));
    expect(moved).toMatchObject({ go: true, standing: { place: { at: 'end' } } });
    expect(after(moved.standing, scroll(end(6_000))).place.at).toBe('end');
  });

  it('is not left because the frame grew and the browser moved what no longer fits', () => {
    expect(after(atEnd, scroll(frame(9_300, 10_000, 640)), scroll(frame(9_360, 10_000, 640))).place.at).toBe('end');
  });

  it('is asked for and found again, wherever the list was', () => {
    for (const from of [row, after(atEnd, scroll(frame(0)))]) {
      const step = asked({ at: 'end' });
      expect(step.go).toBe(true);
      expect(after(from, () => step, measured, scroll(frame(2_000, 7_000)), measured, scroll(end(7_400)), settle(end(7_400)), measured, scroll(end(7_300))).place.at).toBe('end');
    }
  });

  it('a wheel that did not lead away from it is forgotten', () => {
    expect(after(touched(atEnd), scroll(end()), measured, scroll(frame(3_000, 6_000))).place.at).toBe('end');
  });
});

describe('at a row', () => {
  it('comes back to it while rows are measured, and is not followed to the end by what comes', () => {
    expect(measured(row)).toMatchObject({ go: true, standing: { place: { at: 'row', seq: 7 } } });
    expect(appended(row, false)).toMatchObject({ go: false, standing: { place: { at: 'row' } } });
    expect(after(row, scroll(frame(2_000)), measured, scroll(frame(1_800, 9_000))).place.at).toBe('row');
  });

  it('passing the end before all is measured is not being there', () => {
    expect(after(row, scroll(end(900)), measured, scroll(frame(2_000))).place.at).toBe('row');
  });

  it('with the end in view once it has settled, the end is followed', () => {
    expect(after(row, scroll(end()), settle(end())).place.at).toBe('end');
    // A list that fits into its frame is never scrolled.
    expect(after(row, measured, settle(frame(0, 400))).place.at).toBe('end');
  });

  it('is left by any hand', () => {
    expect(touched(row).place.at).toBe('hand');
    expect(after(row, scroll(frame(2_000)), scroll(frame(2_300))).place.at).toBe('hand');
  });
});

describe('where a hand has put it', () => {
  const hand = after(atEnd, scroll(frame(5_000)));

  it('stays, whatever comes and is measured', () => {
    expect(appended(hand, false)).toMatchObject({ go: false, standing: { place: { at: 'hand' } } });
    expect(measured(hand)).toMatchObject({ go: false, standing: { place: { at: 'hand' } } });
    expect(showsEnd(hand)).toBe(false);
    expect(showsEnd(measured(hand).standing)).toBeUndefined();
  });

  it('is left for the end by reaching it, and by writing', () => {
    expect(after(hand, scroll(end())).place.at).toBe('end');
    expect(appended(hand, true)).toMatchObject({ go: true, standing: { place: { at: 'end' } } });
  });
});

describe('while the row to open at is loaded', () => {
  const loading = asked({ at: 'loading' }).standing;

  it('nothing is read into what moves, not even the end', () => {
    expect(after(touched(loading), scroll(end()), measured, settle(end()), (standing) => appended(standing, false)).place.at).toBe('loading');
    expect(measured(loading).go).toBe(false);
  });
});

it('a list that follows the end follows it through every measurement, and only a hand ends that', () => {
  const sizes = fc.integer({ min: 0, max: 20_000 });
  const moves = fc.oneof(
    // Measured: another size, and an offset that may be anything until the list was brought to its place.
    fc.record({ type: fc.constant('measured' as const), size: sizes, offset: sizes }),
    fc.record({ type: fc.constant('appended' as const), size: sizes, offset: sizes }),
    fc.record({ type: fc.constant('resized' as const), size: sizes, offset: sizes, height: fc.integer({ min: 200, max: 1_200 }) }),
  );
  fc.assert(
    fc.property(fc.array(moves, { maxLength: 30 }), fc.boolean(), (all, wheel) => {
      let standing = atEnd;
      let height = HEIGHT;
      for (const move of all) {
        if (move.type === 'resized') height = move.height;
        const size = height + move.size;
        const step = move.type === 'appended' ? appended(standing, false) : measured(standing);
        expect(step.go).toBe(true);
        // The browser tells of the way there, then of the place.
        const way = scrolled(step.standing, frame(Math.min(move.offset, move.size), size, height));
        standing = way.standing;
        standing = scrolled(standing, end(size, height)).standing;
        expect(standing.place.at).toBe('end');
        expect(showsEnd(standing)).toBe(true);
      }
      const { seen } = standing;
      if (!seen || seen.offset < 100) return;
      const away = { ...seen, offset: seen.offset - 90 };
      expect(scrolled(wheel ? touched(standing) : standing, away).standing.place.at).toBe('hand');
    }),
  );
});
