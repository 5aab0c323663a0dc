import { ArrowLeft } from 'lucide-react';
import { useWords } from '../../language/language';
import { IconButton } from '../controls/button';
import { formatRoute, go, SETTINGS_PAGES, type SettingsPage as Section } from '../route';
import { AccountSection } from './account_section';
import { KeyboardSection } from './keyboard_section';
import { LookSection } from './look_section';
import { NotificationSection } from './notification_section';
import { ProfileSection } from './profile_section';
import { SessionSection } from './session_section';
import './settings.css';

const SECTIONS = { profile: ProfileSection, look: LookSection, notifications: NotificationSection, keyboard: KeyboardSection, account: AccountSection, sessions: SessionSection };

export default function SettingsPage({ section }: { section: Section | undefined }) {
  const say = useWords();
  const shown = section ?? 'profile';
  const Shown = SECTIONS[shown];
  return (
    <main className={section ? 'main settings settings-inside' : 'main settings'} data-region="main" aria-label={say('settings')}>
      <header className="room-header">
        <IconButton className="back" label={say('back')} icon={ArrowLeft} onClick={() => go(section ? { page: 'settings' } : { page: 'home' })} />
        <div className="room-header-words"><h1>{say('settings')}</h1></div>
      </header>
      <div className="settings-body">
        <nav className="settings-nav" aria-label={say('settings')}>
          {SETTINGS_PAGES.map((page) => (
            <a key={page} href={formatRoute({ page: 'settings', section: page })} aria-current={page === shown ? 'page' : undefined}>{say(`settings_${page}`)}</a>
          ))}
        </nav>
        <section className="settings-section" aria-labelledby="settings-title">
          <h2 id="settings-title">{say(`settings_${shown}`)}</h2>
          <Shown />
        </section>
      </div>
    </main>
  );
}
