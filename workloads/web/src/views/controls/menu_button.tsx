import { lazy, Suspense, useRef, useState } from 'react';
import type { LucideIcon } from 'lucide-react';
import { IconButton } from './button';

export interface MenuEntry {
  readonly id: string;
  readonly label: string;
  readonly icon?: LucideIcon;
  readonly keys?: string;
  readonly danger?: boolean;
  readonly checked?: boolean;
  readonly act: () => void;
}

const loadMenu = () => import('./menu');
const Menu = lazy(loadMenu);

/** A button with a menu, whose code comes when somebody is about to need it. */
export function MenuButton({ label, icon, groups, className, tabIndex, onOpenChange }: {
  label: string;
  icon: LucideIcon;
  groups: () => readonly (readonly MenuEntry[])[];
  className?: string;
  tabIndex?: number;
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
        className={className ?? ''}
        tabIndex={tabIndex}
        aria-haspopup="menu"
        aria-expanded={open}
        onPointerEnter={() => void loadMenu()}
        onFocus={() => void loadMenu()}
        onClick={() => change(!open)}
      />
      {open && (
        <Suspense>
          <Menu label={label} trigger={button} groups={groups()} onClose={() => change(false)} />
        </Suspense>
      )}
    </>
  );
}
