import { CircleAlert } from 'lucide-react';
import { ClientError } from '../../core/error';
import { useWords } from '../../language/language';
import type { Key, Say } from '../../language/words';
import './trouble.css';

const KNOWN: Readonly<Record<string, Key>> = {
  offline: 'error_offline',
  unauthenticated: 'error_unauthenticated',
  username_taken: 'error_username_taken',
  weak_password: 'error_weak_password',
  sign_up_closed: 'error_sign_up_closed',
  rate_limited: 'error_rate_limited',
  busy: 'error_busy',
  not_allowed: 'error_not_allowed',
  not_a_member: 'error_not_a_member',
  room_not_found: 'error_room_not_found',
  user_not_found: 'error_user_not_found',
  blocked: 'error_blocked',
  last_owner: 'error_last_owner',
  content_too_large: 'error_content_too_large',
  target_not_found: 'error_target_not_found',
  validation_failed: 'error_validation_failed',
};

/** Says what happened and what to do; the server's English only when there are no own words. */
export function explain(code: string, detail: string, say: Say): string {
  const key = KNOWN[code];
  return key ? say(key) : detail || say('error_unknown');
}

export function explainError(error: unknown, say: Say): string {
  return error instanceof ClientError ? explain(error.code, error.detail, say) : say('error_unknown');
}

export function fieldError(error: unknown, field: string): string | undefined {
  return error instanceof ClientError ? error.fields.find((one) => one.field === field)?.detail : undefined;
}

export function Trouble({ error }: { error: unknown }) {
  const say = useWords();
  if (error === undefined) return null;
  return (
    <p className="trouble" role="alert">
      <CircleAlert size={16} aria-hidden />
      <span>{explainError(error, say)}</span>
    </p>
  );
}
