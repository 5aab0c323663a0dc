import { lazy, Suspense, useRef, useState } from 'react';
import type { LucideIcon } from 'lucide-react';
import { IconButton } from '../controls/button';

const loadPicker = () => import('./emoji_popover');
const EmojiPopover = lazy(loadPicker);

export function EmojiButton({ label, icon, keys, tabIndex, onPick, onOpenChange }: {
  label: string;
  icon: LucideIcon;
  keys?: string;
  tabIndex?: number;
  onPick: (emoji: string) => void;
  onOpenChange?: (open: boolean) => void;
}) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const change = (next: boolean) => {
    setOpen(next);
    onOpenChange?.(next);
  };
  return (
    <>
      <IconButton
        ref={button}
        label={label}
        icon={icon}
        {...(keys ? { keys } : {})}
        tabIndex={tabIndex}
        data-emoji-button=""
        aria-haspopup="dialog"
        aria-expanded={open}
        onPointerEnter={() => void loadPicker()}
        onClick={() => change(!open)}
      />
      {open && (
        <Suspense>
          <EmojiPopover label={label} trigger={button} onPick={(emoji) => { change(false); onPick(emoji); }} onClose={() => change(false)} />
        </Suspense>
      )}
    </>
  );
}
