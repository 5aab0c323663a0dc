import { Users } from 'lucide-react';
import { useWords } from '../../language/language';
import { Avatar } from '../controls/avatar';
import type { Offer } from './completion';

/** People to mention; the focus stays in the text, the choice is told by aria-activedescendant. */
export function MentionList({ id, offers, index, onPick }: { id: string; offers: readonly Offer[]; index: number; onPick: (index: number) => void }) {
  const say = useWords();
  return (
    <ul className="mention-list" id={id} role="listbox" aria-label={say('mention_people')}>
      {offers.map((offer, at) => (
        <li
          key={offer.id}
          id={`${id}-${at}`}
          role="option"
          aria-selected={at === index}
          onPointerDown={(event) => {
            event.preventDefault();
            onPick(at);
          }}
        >
          {offer.id === 'room' ? <span className="mention-room"><Users size={14} aria-hidden /></span> : <Avatar id={offer.id} name={offer.name} small />}
          <bdi>{offer.id === 'room' ? say('mention_room') : offer.name}</bdi>
          <span className="quiet">@{offer.username}</span>
        </li>
      ))}
    </ul>
  );
}
