import { Hash } from 'lucide-react';
import type { Presence, UserId } from '../../core/interface';
import { useClient, useReadable } from '../client';
import { useWords } from '../../language/language';
import './avatar.css';

const GROUNDS = 8;

/** The first letters of up to two words: whole characters, not halves of a surrogate pair. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = (words.length > 1 ? [words[0], words[words.length - 1]] : words).map((word) => [...(word ?? '')].find((c) => /[\p{L}\p{N}]/u.test(c)) ?? '');
  return letters.join('').toUpperCase() || '?';
}

export function ground(id: string): number {
  let hash = 0;
  for (let index = 0; index < id.length; index++) hash = (hash * 31 + id.charCodeAt(index)) >>> 0;
  return hash % GROUNDS;
}

/** A picture for the eye alone: the name always stands beside it. */
export function Avatar({ id, name, room = false, small = false }: { id: string; name: string; room?: boolean; small?: boolean }) {
  return (
    <span className={`avatar avatar-${ground(id)}${room ? ' avatar-room' : ''}${small ? ' avatar-small' : ''}`} aria-hidden="true">
      {room ? <Hash size={small ? 12 : 16} strokeWidth={2.25} /> : initials(name)}
    </span>
  );
}

export function usePresence(user: UserId): Presence {
  return useReadable(useClient().presence(user));
}

/** A dot whose shape, not only its colour, tells the state. */
export function PresenceDot({ user, silent = false }: { user: UserId; silent?: boolean }) {
  const { status } = usePresence(user);
  const say = useWords();
  if (status === 'unknown') return null;
  return (
    <span className={`presence presence-${status}`}>
      {!silent && <span className="unseen">{say(`presence_${status}`)}</span>}
    </span>
  );
}
