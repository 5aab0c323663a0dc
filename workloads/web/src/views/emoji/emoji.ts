import type { Language } from '../../language/words';

export interface Emoji {
  readonly emoji: string;
  readonly label: string;
  readonly words: string;
}

type File = { readonly groups: readonly (readonly (readonly string[])[])[] };

const loaders: Record<Language, () => Promise<{ default: unknown }>> = {
  en: () => import('./emoji.en.json'),
  de: () => import('./emoji.de.json'),
};

/** All emoji by group, with their names in a language. */
export async function loadEmoji(language: Language): Promise<readonly (readonly Emoji[])[]> {
  const { groups } = (await loaders[language]()).default as File;
  return groups.map((group) => group.map(([emoji = '', label = '', words = '']) => ({ emoji, label, words: `${label} ${words}`.toLowerCase() })));
}

/** Found at a time. */
const FOUND = 90;

/** Emoji of whose words one begins with each word of the query. */
export function search(groups: readonly (readonly Emoji[])[], query: string): Emoji[] {
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = groups.flat().filter((one) => wanted.every((word) => one.words.startsWith(word) || one.words.includes(` ${word}`)));
  const exact = wanted.join(' ');
  return found.sort((one, other) => Number(!one.words.startsWith(exact)) - Number(!other.words.startsWith(exact))).slice(0, FOUND);
}

/** The ones used last are offered first, while the page is open. */
const RECENT = 9;
let used: readonly string[] = ['👍', '❤️', '😂', '🎉', '🙏', '👀', '✅', '😮', '😢'];

export function remember(emoji: string): void {
  used = [emoji, ...used.filter((one) => one !== emoji)].slice(0, RECENT);
}

export function recent(groups: readonly (readonly Emoji[])[]): Emoji[] {
  const all = new Map(groups.flat().map((one) => [one.emoji, one]));
  return used.flatMap((emoji) => all.get(emoji) ?? []).slice(0, RECENT);
}
