import { useWords } from '../../language/language';
import type { Key } from '../../language/words';
import { useClient, useReadable } from '../client';
import { DialogFrame } from '../controls/dialog';
import { keyNames } from '../controls/key_names';
import './shortcuts.css';

const GROUPS: readonly { title: Key; letters?: boolean; keys: readonly (readonly [Key, string])[] }[] = [
  { title: 'keys_everywhere', keys: [['keys_switcher', 'Ctrl K'], ['keys_sheet', 'Ctrl /'], ['keys_settings', 'Ctrl ,'], ['keys_new_chat', 'Ctrl Shift K'], ['keys_region', 'F6'], ['keys_region_back', 'Shift F6'], ['keys_region_browser', 'Ctrl F6']] },
  { title: 'keys_rooms', keys: [['keys_room', 'Alt ↑ ↓'], ['keys_unread', 'Alt Shift ↑ ↓'], ['keys_mark_read', 'Esc']] },
  { title: 'keys_write', keys: [['keys_send', 'Enter'], ['keys_line', 'Shift Enter'], ['keys_edit_last', '↑'], ['keys_bold', 'Ctrl B'], ['keys_italic', 'Ctrl I'], ['keys_mention', '@'], ['keys_emoji', ':']] },
  { title: 'keys_messages', keys: [['keys_move', '↑ ↓'], ['keys_ends', 'Home End'], ['keys_tools', 'Enter'], ['keys_delete', 'Del']] },
  { title: 'keys_letters', letters: true, keys: [['reply', 'R'], ['edit', 'E'], ['open_thread', 'T'], ['react', '+']] },
];

export default function ShortcutSheet({ onClose }: { onClose: () => void }) {
  const say = useWords();
  const { singleKeyShortcuts } = useReadable(useClient().settings);
  return (
    <DialogFrame title={say('shortcuts')} size="wide" onClose={onClose}>
      <div className="sheet">
        {GROUPS.map((group) => (
          <section key={group.title} aria-label={say(group.title)}>
            <h3>{say(group.title)}{group.letters && !singleKeyShortcuts && ` (${say('turned_off')})`}</h3>
            <dl>
              {group.keys.map(([label, keys]) => (
                <div key={label}>
                  <dt>{say(label)}</dt>
                  <dd>{keyNames(keys, say).split(' ').map((key) => <kbd key={key}>{key}</kbd>)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </DialogFrame>
  );
}
