import { useState } from 'react';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { useAction } from '../controls/action';
import { Toggle } from '../controls/field';
import { Trouble } from '../controls/trouble';
import { askState, currentPermission } from '../notifications/permission';

export function NotificationSection() {
  const client = useClient();
  const say = useWords();
  const settings = useReadable(client.settings);
  const me = useReadable(client.me);
  const [permission, setPermission] = useState(currentPermission);
  const { run, error } = useAction();
  const ask = askState(permission, settings.notificationsAskedAt, Date.now());
  const turn = async (on: boolean) => {
    if (on && permission === 'default') {
      client.changeSettings({ notificationsAskedAt: Date.now() });
      const answer = await Notification.requestPermission();
      setPermission(answer);
      if (answer !== 'granted') return;
    }
    client.changeSettings({ notifications: on });
  };
  const until = me?.doNotDisturbUntil;
  const quiet = until !== undefined && Date.parse(until) > Date.now();
  return (
    <>
      <Toggle label={say('notifications_on')} hint={say('notifications_hint')} checked={settings.notifications && permission === 'granted'} disabled={ask === 'unsupported' || ask === 'denied'} onChange={(on) => void turn(on)} />
      {ask === 'denied' && <p className="settings-note">{say('notifications_denied')}</p>}
      {ask === 'unsupported' && <p className="settings-note">{say('notifications_unsupported')}</p>}
      <Toggle label={say('sound')} checked={settings.sound} onChange={(sound) => client.changeSettings({ sound })} />
      <Toggle label={say('do_not_disturb')} hint={say('do_not_disturb_hint')} checked={quiet} onChange={(on) => void run(() => client.changeProfile({ doNotDisturbUntil: on ? tomorrow() : null }))} />
      <Trouble error={error} />
    </>
  );
}

/** Tomorrow at eight in the morning, by this device's clock. */
function tomorrow(): string {
  const day = new Date();
  day.setDate(day.getDate() + 1);
  day.setHours(8, 0, 0, 0);
  return day.toISOString();
}
