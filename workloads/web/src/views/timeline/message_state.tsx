import { Check, CheckCheck, CircleAlert, Clock3 } from 'lucide-react';
import type { MessageRow } from '../../core/interface';
import { useWords } from '../../language/language';
import { shownState, type Receipt } from './message_label';

const ICONS = { queued: Clock3, sending: Clock3, sent: Check, delivered: CheckCheck, read: CheckCheck, failed: CircleAlert } as const;

export function MessageState({ row, receipt }: { row: MessageRow; receipt: Receipt }) {
  const say = useWords();
  const state = shownState(row, receipt);
  const Icon = ICONS[state];
  return (
    <span className={`message-state message-state-${state}`} title={say(`state_${state}`)}>
      <Icon size={14} aria-hidden />
    </span>
  );
}
