import english from './en.json';

type Entry = keyof typeof english;
/** A key of the catalogue; `x_one` and `x_other` are asked for as `x`, with a count. */
export type Key = Entry extends infer E ? (E extends `${infer Stem}_${'one' | 'other'}` ? Stem : E) : never;
export type Values = Readonly<Record<string, string | number>>;
export type Say = (key: Key, values?: Values) => string;
export type Catalogue = Readonly<Record<Entry, string>>;
export type Language = 'en' | 'de';

const loaders: Record<Language, () => Promise<Catalogue>> = {
  en: () => Promise.resolve(english),
  de: () => import('./de.json').then((module) => module.default),
};

export function load(language: Language): Promise<Catalogue> {
  return loaders[language]();
}

/** The first of the reader's languages that there is a catalogue for. */
export function choose(setting: 'system' | Language, wanted: readonly string[]): Language {
  if (setting !== 'system') return setting;
  for (const tag of wanted) {
    const language = tag.slice(0, 2).toLowerCase();
    if (language === 'en' || language === 'de') return language;
  }
  return 'en';
}

/** The language as people of a region write it: the first wanted tag of it, so that times of "en-GB" have 24 hours. */
export function regional(language: Language, wanted: readonly string[]): string {
  return wanted.find((tag) => tag.slice(0, 2).toLowerCase() === language) ?? language;
}

/** Words from a catalogue: `{name}` is filled in, numbers are written the language's way. */
export function speaker(language: Language, catalogue: Catalogue): Say {
  const plural = new Intl.PluralRules(language);
  const number = new Intl.NumberFormat(language);
  const texts = catalogue as Readonly<Record<string, string>>;
  return (key, values = {}) => {
    const count = values['count'];
    const form = typeof count === 'number' ? (plural.select(count) === 'one' ? 'one' : 'other') : undefined;
    const text = (form && texts[`${key}_${form}`]) ?? texts[key] ?? key;
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = values[name];
      return typeof value === 'number' ? number.format(value) : (value ?? whole);
    });
  };
}

export const englishCatalogue: Catalogue = english;
