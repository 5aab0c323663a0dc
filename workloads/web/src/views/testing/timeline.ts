import type { Row, Timeline } from '../../core/interface';

const seqOf = (row: Row): number => (row.type === 'gap' ? row.before - 1 : (row.seq ?? Infinity));

export function timelineOf(room: string, rows: readonly Row[], more: Partial<Timeline> = {}): Timeline {
  return {
    room,
    length: rows.length,
    row: (index) => rows[index],
    indexOf: (seq) => rows.findIndex((row) => row.type !== 'gap' && row.seq === seq),
    indexAfter: (seq) => rows.findIndex((row) => row.type === 'message' && seqOf(row) > seq),
    prepended: 0,
    resets: 0,
    appended: 0,
    hasOlder: false,
    loadingOlder: false,
    loading: false,
    ...more,
  };
}
