import { memo } from 'react';
import { AtSign, Bold, Code, Italic, List, Quote, Smile, Strikethrough } from 'lucide-react';
import { useWords } from '../../language/language';
import { IconButton } from '../controls/button';
import { EmojiButton } from '../emoji/emoji_button';
import { insert, prefix, wrap, type Selection } from './format';

/** It stays as it is while one types. */
export const Toolbar = memo(function Toolbar({ onEdit }: { onEdit: (make: (selection: Selection) => Selection) => void }) {
  const say = useWords();
  const code = (selection: Selection) => (selection.text.slice(selection.start, selection.end).includes('\n') ? wrapLines(selection) : wrap(selection, '`'));
  return (
    <div className="composer-marks" role="toolbar" aria-label={say('formatting')}>
      <EmojiButton label={say('emoji')} icon={Smile} onPick={(emoji) => onEdit((selection) => insert(selection, emoji))} />
      <IconButton label={say('mention')} keys="@" icon={AtSign} onClick={() => onEdit((selection) => insert(selection, startsWord(selection) ? '@' : ' @'))} />
      <span className="composer-rule" aria-hidden="true" />
      <IconButton label={say('bold')} keys="Ctrl+B" icon={Bold} onClick={() => onEdit((selection) => wrap(selection, '**'))} />
      <IconButton label={say('italic')} keys="Ctrl+I" icon={Italic} onClick={() => onEdit((selection) => wrap(selection, '_'))} />
      <IconButton className="composer-wide" label={say('strike')} icon={Strikethrough} onClick={() => onEdit((selection) => wrap(selection, '~~'))} />
      <IconButton label={say('code')} icon={Code} onClick={() => onEdit(code)} />
      <IconButton className="composer-wide" label={say('quote')} icon={Quote} onClick={() => onEdit((selection) => prefix(selection, '> '))} />
      <IconButton className="composer-wide" label={say('list')} icon={List} onClick={() => onEdit((selection) => prefix(selection, '- '))} />
    </div>
  );
});

function startsWord({ text, start }: Selection): boolean {
  return start === 0 || /\s/.test(text[start - 1] ?? '');
}

function wrapLines({ text, start, end }: Selection): Selection {
  const block = `\`\`\`\n${text.slice(start, end)}\n\`\`\``;
  return { text: text.slice(0, start) + block + text.slice(end), start: start + 4, end: start + block.length - 4 };
}
