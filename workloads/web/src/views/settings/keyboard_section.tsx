import { Keyboard } from 'lucide-react';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { Button } from '../controls/button';
import { Choice, Toggle } from '../controls/field';
import { openDialog } from '../dialogs';

export function KeyboardSection() {
  const client = useClient();
  const say = useWords();
  const settings = useReadable(client.settings);
  return (
    <>
      <Choice label={say('send_with')} name="send" value={settings.sendOnEnter ? 'enter' : 'ctrl'} onChange={(value) => client.changeSettings({ sendOnEnter: value === 'enter' })} options={[
        { value: 'enter', label: say('send_enter'), hint: say('send_enter_hint') },
        { value: 'ctrl', label: say('send_ctrl'), hint: say('send_ctrl_hint') },
      ]} />
      <Toggle label={say('single_keys')} hint={say('single_keys_hint')} checked={settings.singleKeyShortcuts} onChange={(singleKeyShortcuts) => client.changeSettings({ singleKeyShortcuts })} />
      <div><Button icon={Keyboard} onClick={() => openDialog({ kind: 'shortcuts' })}>{say('show_shortcuts')}</Button></div>
    </>
  );
}
