import { Users } from 'lucide-react';
import { useWords } from '../../language/language';
import { Avatar } from '../controls/avatar';
import type { Offer } from './completion';

/** People to mention, or emoji; the focus stays in the text, the choice is told by aria-activedescendant. */
export function OfferList({ id, label, offers, index, onPick }: { id: string; label: string; offers: readonly Offer[]; index: number; onPick: (index: number) => void }) {
  const say = useWords();
  return (
    <ul className="offer-list" id={id} role="listbox" aria-label={label}>
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
          <Picture offer={offer} />
          <bdi>{offer.kind === 'room' ? say('mention_room') : offer.name}</bdi>
          {offer.kind !== 'emoji' && <span className="quiet">{offer.text}</span>}
        </li>
      ))}
    </ul>
  );
}

function Picture({ offer }: { offer: Offer }) {
  if (offer.kind === 'emoji') return <span className="offer-emoji" aria-hidden="true">{offer.id}</span>;
  if (offer.kind === 'room') return <span className="offer-room"><Users size={14} aria-hidden /></span>;
  return <Avatar id={offer.id} name={offer.name} small />;
}
