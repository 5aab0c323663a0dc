import type { Settings } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { Choice } from '../controls/field';

export function LookSection() {
  const client = useClient();
  const say = useWords();
  const settings = useReadable(client.settings);
  return (
    <>
      <Choice<Settings['theme']> label={say('theme')} name="theme" value={settings.theme} onChange={(theme) => client.changeSettings({ theme })} options={(['system', 'light', 'dark', 'contrast'] as const).map((value) => ({ value, label: say(`theme_${value}`) }))} />
      <Choice<Settings['density']> label={say('density')} name="density" value={settings.density} onChange={(density) => client.changeSettings({ density })} options={(['comfortable', 'compact'] as const).map((value) => ({ value, label: say(`density_${value}`), hint: say(`density_${value}_hint`) }))} />
      <Choice<Settings['language']> label={say('language')} name="language" value={settings.language} onChange={(language) => client.changeSettings({ language })} options={[
        { value: 'system', label: say('language_system') },
        { value: 'en', label: 'English' },
        { value: 'de', label: 'Deutsch' },
      ]} />
    </>
  );
}
