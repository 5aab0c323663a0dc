import type { RefObject } from 'react';
import { Check } from 'lucide-react';
import { Menu, MenuItem, MenuSection } from 'react-aria-components/Menu';
import { Popover } from 'react-aria-components/Popover';
import type { MenuEntry } from './menu_button';
import './menu.css';

export default function MenuOverlay({ label, trigger, groups, onClose }: {
  label: string;
  trigger: RefObject<HTMLElement | null>;
  groups: readonly (readonly MenuEntry[])[];
  onClose: () => void;
}) {
  const shown = groups.filter((group) => group.length > 0);
  return (
    <Popover className="menu-popover" aria-label={label} triggerRef={trigger} isOpen onOpenChange={(open) => !open && onClose()} placement="bottom end" offset={4}>
      <Menu className="menu" aria-label={label} autoFocus="first" onClose={onClose}>
        {shown.map((group, index) => (
          <MenuSection key={index} className="menu-section" aria-label={label}>
            {group.map((entry) => (
              <MenuItem key={entry.id} id={entry.id} textValue={entry.label} className={`menu-item${entry.danger ? ' menu-item-danger' : ''}`} onAction={entry.act}>
                {entry.icon ? <entry.icon size={16} aria-hidden /> : <span className="menu-gap" />}
                <span className="menu-label">{entry.label}</span>
                {entry.checked && <Check size={16} aria-hidden />}
                {entry.keys && <kbd>{entry.keys}</kbd>}
              </MenuItem>
            ))}
          </MenuSection>
        ))}
      </Menu>
    </Popover>
  );
}
