import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { datesOf, type Dates } from './dates';
import { choose, englishCatalogue, load, regional, speaker, type Catalogue, type Language, type Say } from './words';

interface Speech {
  readonly language: Language;
  readonly say: Say;
  readonly dates: Dates;
}

const Context = createContext<Speech>({ language: 'en', say: speaker('en', englishCatalogue), dates: datesOf('en') });

export function useLanguage(): Speech {
  return useContext(Context);
}

export function useWords(): Say {
  return useContext(Context).say;
}

/** Until another language's catalogue is here, nothing is shown: no flash of the wrong one. English is always here. */
export function LanguageProvider({ setting, children }: { setting: 'system' | Language; children: ReactNode }) {
  const language = choose(setting, navigator.languages);
  const [loaded, setLoaded] = useState<{ language: Language; catalogue: Catalogue }>({ language: 'en', catalogue: englishCatalogue });
  useEffect(() => {
    let current = true;
    load(language).then(
      (catalogue) => current && setLoaded({ language, catalogue }),
      () => current && setLoaded({ language: 'en', catalogue: englishCatalogue }),
    );
    return () => {
      current = false;
    };
  }, [language]);
  useEffect(() => {
    document.documentElement.lang = loaded.language;
  }, [loaded]);
  const speech = useMemo<Speech>(
    () => ({ language: loaded.language, say: speaker(loaded.language, loaded.catalogue), dates: datesOf(regional(loaded.language, navigator.languages)) }),
    [loaded],
  );
  const first = loaded.language !== language && loaded.language === 'en' && language !== 'en';
  return <Context value={speech}>{first ? null : children}</Context>;
}
