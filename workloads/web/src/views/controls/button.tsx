import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react';
import type { LucideIcon } from 'lucide-react';
import { useWords } from '../../language/language';
import { keyNames } from './key_names';
import './button.css';

type Look = 'primary' | 'plain' | 'quiet' | 'danger';

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly look?: Look;
  readonly icon?: LucideIcon;
  readonly busy?: boolean;
  readonly ref?: Ref<HTMLButtonElement>;
  readonly children: ReactNode;
}

export function Button({ look = 'plain', icon: Icon, busy = false, className = '', children, disabled, ...rest }: ButtonProps) {
  return (
    <button type="button" {...rest} disabled={disabled} aria-busy={busy || undefined} className={`button button-${look} ${className}`}>
      {Icon && <Icon size={16} aria-hidden />}
      <span>{children}</span>
    </button>
  );
}

interface IconButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'children'> {
  readonly label: string;
  readonly icon: LucideIcon;
  /** Shown beside the label when the pointer rests on it. */
  readonly keys?: string;
  readonly size?: number;
  readonly ref?: Ref<HTMLButtonElement>;
}

export function IconButton({ label, icon: Icon, keys, size = 18, className = '', ...rest }: IconButtonProps) {
  const say = useWords();
  return (
    <button type="button" aria-label={label} title={keys ? `${label} (${keyNames(keys, say)})` : label} {...rest} className={`icon-button ${className}`}>
      <Icon size={size} aria-hidden />
    </button>
  );
}
