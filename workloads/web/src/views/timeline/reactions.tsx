import type { MessageRow } from '../../core/interface';
import { useWords } from '../../language/language';
import { useMessageActions } from './actions';

export function Reactions({ row, reachable }: { row: MessageRow; reachable: boolean }) {
  const say = useWords();
  const { react } = useMessageActions();
  return (
    <div className="reactions" role="group" aria-label={say('reactions')}>
      {row.reactions.map((reaction) => (
        <button
          key={reaction.emoji}
          type="button"
          className="reaction"
          tabIndex={reachable ? 0 : -1}
          aria-pressed={reaction.mine}
          aria-label={say('label_reaction', { emoji: reaction.emoji, count: reaction.count })}
          onClick={() => react(row, reaction.emoji)}
        >
          <span aria-hidden="true">{reaction.emoji}</span>
          <span aria-hidden="true">{reaction.count}</span>
        </button>
      ))}
    </div>
  );
}
