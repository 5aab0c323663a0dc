import { useRef, useState } from 'react';
import { Copy, Ellipsis, MessagesSquare, Pencil, Reply, SmilePlus, Trash2 } from 'lucide-react';
import type { MessageRow } from '../../core/interface';
import { useWords } from '../../language/language';
import { IconButton } from '../controls/button';
import { MenuButton, type MenuEntry } from '../controls/menu_button';
import { EmojiButton } from '../emoji/emoji_button';
import { mayAnswer, mayEdit, mayRemove, useMessageActions } from './actions';

/** One press away on every message. */
const QUICK = ['👍', '❤️', '😂'];

/** What can be done with the message under the pointer or the focus. */
export function MessageTools({ row, reachable, low, onHold }: { row: MessageRow; reachable: boolean; low: boolean; onHold: (held: boolean) => void }) {
  const say = useWords();
  const actions = useMessageActions();
  const tools = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);
  const tabIndex = reachable ? 0 : -1;
  const hold = (held: boolean) => {
    setOpen(held);
    onHold(held);
  };
  const menu = (): readonly (readonly MenuEntry[])[] => [
    [
      ...(mayEdit(row) ? [{ id: 'edit', label: say('edit'), icon: Pencil, keys: 'E', act: () => actions.edit(row) }] : []),
      ...(row.text ? [{ id: 'copy', label: say('copy_text'), icon: Copy, act: () => void navigator.clipboard?.writeText(row.text) }] : []),
    ],
    mayRemove(row, actions.room) ? [{ id: 'delete', label: say('delete'), icon: Trash2, danger: true, keys: say('key_delete'), act: () => actions.remove(row) }] : [],
  ];
  const hasMenu = menu().some((group) => group.length > 0);
  if (row.deleted || (row.seq === undefined && !hasMenu)) return null;
  return (
    <div ref={tools} className={low ? 'message-tools message-tools-low' : 'message-tools'} role="group" aria-label={say('message_actions')} data-open={open || undefined}>
      {mayAnswer(row) && (
        <>
          {QUICK.map((emoji) => (
            <button key={emoji} type="button" className="icon-button message-quick" tabIndex={-1} aria-label={say('react_with', { emoji })} title={say('react_with', { emoji })} onClick={() => actions.react(row, emoji)}>
              <span aria-hidden="true">{emoji}</span>
            </button>
          ))}
          <EmojiButton label={say('react')} icon={SmilePlus} keys="+" tabIndex={tabIndex} onPick={(emoji) => actions.react(row, emoji)} onOpenChange={hold} />
          <IconButton label={say('reply')} icon={Reply} keys="R" tabIndex={tabIndex} onClick={() => actions.reply(row)} />
          {!actions.inThread && <IconButton label={say('open_thread')} icon={MessagesSquare} keys="T" tabIndex={tabIndex} onClick={() => actions.openThread(row.thread ?? row.seq ?? 0)} />}
        </>
      )}
      {hasMenu && <MenuButton label={say('more')} icon={Ellipsis} tabIndex={tabIndex} groups={menu} onOpenChange={hold} />}
    </div>
  );
}
