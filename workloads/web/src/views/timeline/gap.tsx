import { useEffect } from 'react';
import type { GapRow, RoomId } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient } from '../client';
import { useAction } from '../controls/action';

/** Rows not held here: they come when the place comes into view. */
export function Gap({ room, row, active }: { room: RoomId; row: GapRow; active: boolean }) {
  const client = useClient();
  const say = useWords();
  const { run, busy, error } = useAction();
  const load = () => void run(() => client.fillGap(room, row));
  useEffect(load, [client, room, row]);
  return (
    <article className="gap" data-row={row.key} tabIndex={active ? 0 : -1} aria-label={say('gap')}>
      {busy || error === undefined ? say('gap_loading') : <button type="button" onClick={load}>{say('gap_retry')}</button>}
    </article>
  );
}
