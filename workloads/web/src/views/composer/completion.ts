import type { Profile, UserId } from '../../core/interface';

/** People offered at a time. */
const OFFERED = 8;

export interface Query {
  readonly start: number;
  readonly text: string;
}

/** The "@name" being written at the caret, if there is one. */
export function queryAt(text: string, caret: number): Query | undefined {
  const found = /(?:^|[^\p{L}\p{N}_])@([\p{L}\p{N}._-]{0,64})$/u.exec(text.slice(Math.max(0, caret - 80), caret));
  if (!found) return undefined;
  const typed = found[1] ?? '';
  return { start: caret - typed.length - 1, text: typed.toLowerCase() };
}

export interface Offer {
  readonly id: string;
  readonly username: string;
  readonly name: string;
}

/** Names that begin with what was typed come first, then those with a word that does. */
export function offersFor(query: string, people: readonly Profile[], withRoom: boolean): Offer[] {
  const rank = (profile: Profile): number => {
    const name = profile.displayName.toLowerCase();
    if (profile.username.toLowerCase().startsWith(query) || name.startsWith(query)) return 0;
    return name.split(/\s+/).some((word) => word.startsWith(query)) ? 1 : 2;
  };
  const offers = people
    .map((profile) => ({ profile, order: rank(profile) }))
    .filter(({ order }) => order < 2)
    .sort((one, other) => one.order - other.order || one.profile.displayName.localeCompare(other.profile.displayName))
    .map(({ profile }) => ({ id: profile.id, username: profile.username, name: profile.displayName || profile.username }));
  if (withRoom && 'room'.startsWith(query)) offers.push({ id: 'room', username: 'room', name: 'room' });
  return offers.slice(0, OFFERED);
}

/** Who a text mentions, of the people known here. */
export function mentionsIn(text: string, people: readonly Profile[], withRoom: boolean): { users?: readonly UserId[]; room?: boolean } | undefined {
  const names = new Set([...text.matchAll(/(?:^|[^\p{L}\p{N}_])@([\p{L}\p{N}_](?:[\p{L}\p{N}._-]*[\p{L}\p{N}_])?)/gu)].map((match) => (match[1] ?? '').toLowerCase()));
  if (names.size === 0) return undefined;
  const users = people.filter((profile) => names.has(profile.username.toLowerCase())).map((profile) => profile.id);
  const room = withRoom && names.has('room');
  if (users.length === 0 && !room) return undefined;
  return { ...(users.length > 0 && { users }), ...(room && { room }) };
}
