import { useRef, useState, type KeyboardEvent } from 'react';
import { X } from 'lucide-react';
import { ListBox, ListBoxItem } from 'react-aria-components/ListBox';
import type { Profile, UserId } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { Avatar } from '../controls/avatar';
import { useFoundPeople } from '../people/find_people';
import '../members/members.css';
import './create.css';

/** Finds people and lets some of them be chosen; before a name is typed, friends are offered. */
export function PeoplePicker({ many, autoFocus, chosen, without = [], onChange, onPick }: {
  many: boolean;
  autoFocus: boolean;
  chosen: readonly Profile[];
  without?: readonly UserId[];
  onChange: (people: readonly Profile[]) => void;
  /** Enter, while a name is written, takes the first one found; without this it is added to those chosen. */
  onPick?: (person: Profile) => void;
}) {
  const client = useClient();
  const say = useWords();
  const [query, setQuery] = useState('');
  const found = useFoundPeople(query);
  const { friends } = useReadable(client.friends);
  const offered = found.asked ? found.people : friends.filter((friend) => friend.status === 'accepted').map((friend) => friend.user);
  const people = offered.filter((one) => !without.includes(one.id));
  const known = [...chosen, ...people.filter((one) => !chosen.some((other) => other.id === one.id))];
  const picker = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const [first] = people;
    if (event.nativeEvent.isComposing || !first || (event.key !== 'Enter' && event.key !== 'ArrowDown')) return;
    if (event.key === 'Enter' && !query) return;
    event.preventDefault();
    if (event.key === 'ArrowDown') return picker.current?.querySelector<HTMLElement>('[role="option"]')?.focus();
    if (found.searching) return;
    setQuery('');
    if (onPick) onPick(first);
    else if (!chosen.some((one) => one.id === first.id)) onChange([...chosen, first]);
  };
  return (
    <div className="picker" ref={picker}>
      <input className="input" type="search" autoFocus={autoFocus} aria-label={say('find_people')} placeholder={say('find_people')} value={query} onChange={(event) => setQuery(event.target.value)} onKeyDown={onKeyDown} />
      {many && chosen.length > 0 && (
        <ul className="picker-chosen" aria-label={say('chosen_people')}>
          {chosen.map((one) => (
            <li key={one.id}>
              <button type="button" aria-label={say('unchoose', { name: one.displayName })} onClick={() => onChange(chosen.filter((other) => other.id !== one.id))}>
                <bdi>{one.displayName || one.username}</bdi> <X size={13} aria-hidden />
              </button>
            </li>
          ))}
        </ul>
      )}
      <ListBox
        className="picker-list"
        aria-label={say('people')}
        items={people}
        selectionMode={many ? 'multiple' : 'single'}
        selectionBehavior="toggle"
        selectedKeys={chosen.map((one) => one.id)}
        onSelectionChange={(keys) => onChange(keys === 'all' ? people : known.filter((one) => keys.has(one.id)))}
        renderEmptyState={() => <p className="members-none">{say(found.asked ? (found.searching ? 'searching' : 'nobody_found') : 'type_a_name')}</p>}
      >
        {(one: Profile) => (
          <ListBoxItem id={one.id} textValue={one.displayName || one.username} className="person picker-item">
            <Avatar id={one.id} name={one.displayName || one.username} />
            <span className="person-words">
              <bdi className="person-name">{one.displayName || one.username}</bdi>
              <bdi className="person-more">@{one.username}</bdi>
            </span>
          </ListBoxItem>
        )}
      </ListBox>
    </div>
  );
}
