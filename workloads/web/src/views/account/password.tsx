import { useId, useState } from 'react';
import { Eye, EyeOff } from 'lucide-react';
import { useWords } from '../../language/language';
import { IconButton } from '../controls/button';

/** A password that may be pasted and looked at. */
export function Password({ label, hint, error, autoComplete, value, onChange }: {
  label: string;
  hint?: string;
  error?: string | undefined;
  autoComplete: 'current-password' | 'new-password';
  value: string;
  onChange: (value: string) => void;
}) {
  const say = useWords();
  const id = useId();
  const [shown, setShown] = useState(false);
  const described = [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ');
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="password">
        <input id={id} className="input" name="password" type={shown ? 'text' : 'password'} required autoComplete={autoComplete} value={value} aria-invalid={error ? true : undefined} aria-describedby={described || undefined} onChange={(event) => onChange(event.target.value)} />
        <IconButton label={say(shown ? 'hide_password' : 'show_password')} icon={shown ? EyeOff : Eye} onClick={() => setShown(!shown)} />
      </div>
      {hint && <p id={`${id}-hint`} className="field-hint">{hint}</p>}
      {error && <p id={`${id}-error`} className="field-error">{error}</p>}
    </div>
  );
}
