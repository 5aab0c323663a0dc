import { CornerUpRight } from 'lucide-react';
import type { MessageRow, Seq } from '../../core/interface';
import { useWords } from '../../language/language';
import { useName } from '../controls/person';
import { useMessageActions } from './actions';
import { bodyLabel } from './message_label';

/** Characters of the origin shown above its reply. */
const QUOTE_CHARACTERS = 120;

/** What a message answers; a press goes there. */
export function ReplyQuote({ seq, origin, reachable }: { seq: Seq; origin: MessageRow | undefined; reachable: boolean }) {
  const say = useWords();
  const { jump } = useMessageActions();
  return (
    <button type="button" className="reply-quote" tabIndex={reachable ? 0 : -1} title={say('jump_to_origin')} onClick={() => jump(seq)}>
      <CornerUpRight size={13} aria-hidden />
      {origin ? <OriginText origin={origin} /> : <span>{say('reply_to_earlier')}</span>}
    </button>
  );
}

export function OriginText({ origin }: { origin: MessageRow }) {
  const say = useWords();
  const name = useName(origin.sender);
  return (
    <>
      <bdi className="reply-name">{name}</bdi>
      <span className="reply-text" dir="auto">{bodyLabel(origin, say, QUOTE_CHARACTERS)}</span>
    </>
  );
}
