import type { ReactNode } from 'react';
import { X } from 'lucide-react';
import { Dialog } from 'react-aria-components/Dialog';
import { Heading } from 'react-aria-components/Heading';
import { Modal, ModalOverlay } from 'react-aria-components/Modal';
import { useWords } from '../../language/language';
import { IconButton } from './button';
import './dialog.css';

/** A modal dialog: focus stays in it and goes back to where it came from. */
export function DialogFrame({ title, size = 'normal', alert = false, onClose, children }: {
  title: string;
  size?: 'small' | 'normal' | 'wide';
  alert?: boolean;
  onClose: () => void;
  children: ReactNode;
}) {
  const say = useWords();
  return (
    <ModalOverlay className="dialog-scrim" isOpen isDismissable={!alert} onOpenChange={(open) => !open && onClose()}>
      <Modal className={`dialog dialog-${size}`}>
        <Dialog className="dialog-body" role={alert ? 'alertdialog' : 'dialog'}>
          <header className="dialog-head">
            <Heading slot="title">{title}</Heading>
            <IconButton label={say('close')} icon={X} onClick={onClose} />
          </header>
          {children}
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
