import { CircleAlert } from 'lucide-react';
import type { MessageRow } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient } from '../client';
import { explain } from '../controls/trouble';

/** What was refused, why, and the two ways on. */
export function Failure({ row, reachable }: { row: MessageRow; reachable: boolean }) {
  const say = useWords();
  const client = useClient();
  const failure = row.state === 'failed' ? (row.failure ?? { code: '', detail: '' }) : row.changeFailure;
  if (!failure) return null;
  const id = row.state === 'failed' ? row.key : (row.changeFailure?.changeId ?? row.key);
  const tabIndex = reachable ? 0 : -1;
  return (
    <div className="message-failure" role="status">
      <CircleAlert size={15} aria-hidden />
      <span>{say(row.state === 'failed' ? 'failed_send' : 'failed_change')} {explain(failure.code, failure.detail, say)}</span>
      <button type="button" tabIndex={tabIndex} onClick={() => void client.retry(id)}>{say('retry')}</button>
      <button type="button" tabIndex={tabIndex} onClick={() => void client.cancel(id)}>{say('discard')}</button>
    </div>
  );
}
