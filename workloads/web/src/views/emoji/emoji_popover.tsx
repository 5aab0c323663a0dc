import { useEffect, useMemo, useState, type RefObject } from 'react';
import { Autocomplete } from 'react-aria-components/Autocomplete';
import { Collection } from 'react-aria-components/Collection';
import { Dialog } from 'react-aria-components/Dialog';
import { Header } from 'react-aria-components/Header';
import { Input } from 'react-aria-components/Input';
import { ListBox, ListBoxItem, ListBoxSection } from 'react-aria-components/ListBox';
import { Popover } from 'react-aria-components/Popover';
import { TextField } from 'react-aria-components/TextField';
import { Search } from 'lucide-react';
import { useLanguage } from '../../language/language';
import type { Key } from '../../language/words';
import { byTouch } from '../controls/touch';
import { loadEmoji, remember, recent, search, type Emoji } from './emoji';
import './emoji.css';

const TITLES: readonly Key[] = ['emoji_smileys', 'emoji_people', 'emoji_nature', 'emoji_food', 'emoji_travel', 'emoji_activities', 'emoji_objects', 'emoji_symbols', 'emoji_flags'];

interface Group {
  readonly id: string;
  readonly title: string;
  readonly items: readonly (Emoji & { readonly id: string })[];
}

export default function EmojiPopover({ label, trigger, onPick, onClose }: {
  label: string;
  trigger: RefObject<HTMLElement | null>;
  onPick: (emoji: string) => void;
  onClose: () => void;
}) {
  const { language, say } = useLanguage();
  const [groups, setGroups] = useState<readonly (readonly Emoji[])[]>([]);
  const [query, setQuery] = useState('');
  const [tab, setTab] = useState(0);
  useEffect(() => {
    let current = true;
    void loadEmoji(language).then((loaded) => current && setGroups(loaded));
    return () => {
      current = false;
    };
  }, [language]);
  const shown = useMemo<readonly Group[]>(() => {
    const named = (id: string, title: string, items: readonly Emoji[]): Group => ({ id, title, items: items.map((one) => ({ ...one, id: `${id}:${one.emoji}` })) });
    if (query.trim()) return [named('found', say('search_results'), search(groups, query))];
    const all = groups[tab] ?? [];
    const often = tab === 0 ? recent(groups) : [];
    return [...(often.length > 0 ? [named('recent', say('emoji_recent'), often)] : []), named(`group-${tab}`, say(TITLES[tab] ?? 'emoji'), all)];
  }, [groups, query, tab, say]);
  const pick = (key: string) => {
    const emoji = key.slice(key.indexOf(':') + 1);
    remember(emoji);
    onPick(emoji);
  };
  return (
    <Popover className="emoji-popover" triggerRef={trigger} isOpen onOpenChange={(open) => !open && onClose()} placement="top" offset={6}>
      <Dialog className="emoji-dialog" aria-label={label}>
        <Autocomplete inputValue={query} onInputChange={setQuery} disableAutoFocusFirst={query === ''}>
          <TextField className="emoji-field" aria-label={say('find_emoji')} autoFocus={!byTouch()}>
            <Search size={16} aria-hidden />
            <Input role="combobox" aria-expanded placeholder={say('find_emoji')} />
          </TextField>
          <div className="emoji-tabs" role="group" aria-label={say('emoji_groups')}>
            {groups.map((group, index) => (
              <button key={index} type="button" aria-pressed={index === tab && !query} aria-label={say(TITLES[index] ?? 'emoji')} title={say(TITLES[index] ?? 'emoji')} onClick={() => { setQuery(''); setTab(index); }}>
                <span aria-hidden="true">{group[0]?.emoji}</span>
              </button>
            ))}
          </div>
          <ListBox className="emoji-list" aria-label={say('emoji')} layout="grid" items={shown} selectionMode="none" onAction={(key) => pick(String(key))} renderEmptyState={() => <p className="members-none">{say(groups.length === 0 ? 'loading' : 'nothing_found')}</p>}>
            {(group: Group) => (
              <ListBoxSection id={group.id} className="emoji-section">
                <Header>{group.title}</Header>
                <Collection items={group.items}>
                  {(one: Group['items'][number]) => <ListBoxItem id={one.id} textValue={one.label} aria-label={one.label} className="emoji-item"><span title={one.label}>{one.emoji}</span></ListBoxItem>}
                </Collection>
              </ListBoxSection>
            )}
          </ListBox>
        </Autocomplete>
      </Dialog>
    </Popover>
  );
}
