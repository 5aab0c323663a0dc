import { useEffect } from 'react';
import { I18nProvider } from 'react-aria-components/I18nProvider';
import type { Client, Settings } from '../core/interface';
import { LanguageProvider, useLanguage, useWords } from '../language/language';
import { SignIn } from './account/sign_in';
import { SignUp } from './account/sign_up';
import { ClientProvider, useClient, useReadable } from './client';
import { Skeleton } from './controls/empty';
import { Fallen } from './layout/fallen';
import { Shell } from './layout/shell';
import { useRoute } from './route';

export function App({ client }: { client: Client }) {
  return (
    <ClientProvider value={client}>
      <Localised />
    </ClientProvider>
  );
}

function Localised() {
  const settings = useReadable(useClient().settings);
  useLook(settings);
  return (
    <LanguageProvider setting={settings.language}>
      <Aria />
    </LanguageProvider>
  );
}

function Aria() {
  const { language, say } = useLanguage();
  return (
    <I18nProvider locale={language}>
      <Fallen say={say}>
        <Gate />
      </Fallen>
    </I18nProvider>
  );
}

/** Theme and density are attributes of the root; all else is in the tokens. */
function useLook({ theme, density }: Settings): void {
  useEffect(() => {
    const root = document.documentElement;
    root.dataset['theme'] = theme === 'system' && matchMedia('(prefers-contrast: more)').matches ? 'contrast' : theme;
    root.dataset['density'] = density;
  }, [theme, density]);
}

function Gate() {
  const account = useReadable(useClient().account);
  const route = useRoute();
  const say = useWords();
  if (account.state === 'loading') return <main className="account"><Skeleton label={say('loading')} /></main>;
  if (account.state === 'signed-in') return <Shell />;
  return route.page === 'sign-up' ? <SignUp /> : <SignIn reason={account.reason} />;
}
