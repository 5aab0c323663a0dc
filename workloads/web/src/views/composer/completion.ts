import type { Profile, UserId } from '../../core/interface';
import { search, type Emoji } from '../emoji/emoji';

/** Offered at a time. */
const OFFERED = 8;
/** Letters after ":" from which emoji are offered: fewer would be in the way of ":)" and of times. */
const EMOJI_LETTERS = 2;
/** Characters before the caret that are looked at. */
const LOOKED_AT = 80;

/** What is being written at the caret: "@name", or ":name" of an emoji. */
export interface Query {
  readonly of: 'people' | 'emoji';
  readonly start: number;
  readonly text: string;
}

export function queryAt(text: string, caret: number): Query | undefined {
  const before = text.slice(Math.max(0, caret - LOOKED_AT), caret);
  const name = /(?:^|[^\p{L}\p{N}_])@([\p{L}\p{N}._-]{0,64})$/u.exec(before)?.[1];
  if (name !== undefined) return { of: 'people', start: caret - name.length - 1, text: name.toLowerCase() };
  const emoji = /(?:^|\s):([\p{L}][\p{L}\p{N}_-]{0,31})$/u.exec(before)?.[1];
  if (emoji === undefined || emoji.length < EMOJI_LETTERS) return undefined;
  return { of: 'emoji', start: caret - emoji.length - 1, text: emoji.toLowerCase() };
}

export interface Offer {
  readonly kind: 'person' | 'room' | 'emoji';
  /** The person's id, or the emoji itself. */
  readonly id: string;
  readonly name: string;
  /** What takes the query's place. */
  readonly text: string;
}

/** Names that begin with what was typed come first, then those with a word that does. */
export function peopleFor(query: string, people: readonly Profile[], withRoom: boolean): Offer[] {
  const rank = (profile: Profile): number => {
    const name = profile.displayName.toLowerCase();
    if (profile.username.toLowerCase().startsWith(query) || name.startsWith(query)) return 0;
    return name.split(/\s+/).some((word) => word.startsWith(query)) ? 1 : 2;
  };
  const offers = people
    .map((profile) => ({ profile, order: rank(profile) }))
    .filter(({ order }) => order < 2)
    .sort((one, other) => one.order - other.order || one.profile.displayName.localeCompare(other.profile.displayName))
    .map(({ profile }): Offer => ({ kind: 'person', id: profile.id, name: profile.displayName || profile.username, text: `@${profile.username}` }));
  if (withRoom && 'room'.startsWith(query)) offers.push({ kind: 'room', id: 'room', name: 'room', text: '@room' });
  return offers.slice(0, OFFERED);
}

/** "thumbs_up" and "thumbs-up" are the words "thumbs up". */
export function emojiFor(query: string, groups: readonly (readonly Emoji[])[]): Offer[] {
  return search(groups, query.replace(/[_-]/g, ' '))
    .slice(0, OFFERED)
    .map(({ emoji, label }) => ({ kind: 'emoji', id: emoji, name: label, text: emoji }));
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
