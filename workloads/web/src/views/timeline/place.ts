import { dayStart } from '../../language/dates';
import type { MessageRow, Row } from '../../core/interface';

/** Messages of one sender further apart than this begin a new group, ms. */
const GROUP_MS = 5 * 60_000;

export interface Place {
  /** The first row of its day: a day line stands above it. */
  readonly day: boolean;
  /** Belongs to the message above: no picture, no name. */
  readonly grouped: boolean;
}

/** How a row stands to the one above it. */
export function placeOf(row: Row, above: Row | undefined, firstNew: boolean): Place {
  if (row.type === 'gap') return { day: false, grouped: false };
  const aboveAt = above && above.type !== 'gap' ? above.at : undefined;
  const day = aboveAt === undefined ? !above : dayStart(aboveAt) !== dayStart(row.at);
  const grouped = !day && !firstNew && row.type === 'message' && above?.type === 'message' && belong(above, row);
  return { day, grouped };
}

function belong(above: MessageRow, row: MessageRow): boolean {
  return (
    above.sender === row.sender &&
    row.replyTo === undefined &&
    (above.thread === undefined) === (row.thread === undefined) &&
    row.at - above.at < GROUP_MS
  );
}
