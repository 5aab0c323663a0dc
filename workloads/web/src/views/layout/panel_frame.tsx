import type { ReactNode } from 'react';
import { X } from 'lucide-react';
import { useWords } from '../../language/language';
import { IconButton } from '../controls/button';
import { useNarrow } from './narrow';

/** Beside the room; on a phone it is the page itself. */
export function PanelFrame({ title, more, className, actions, onClose, children }: {
  title: string;
  more: ReactNode;
  className: string;
  actions?: ReactNode;
  onClose: () => void;
  children: ReactNode;
}) {
  const say = useWords();
  const narrow = useNarrow();
  const Frame = narrow ? 'main' : 'aside';
  const Heading = narrow ? 'h1' : 'h2';
  return (
    <Frame className={`panel ${className}`} data-region="panel" aria-label={title}>
      <header className="panel-head">
        <Heading>{title}<small>{more}</small></Heading>
        {actions}
        <IconButton label={say('close')} icon={X} onClick={onClose} />
      </header>
      {children}
    </Frame>
  );
}
