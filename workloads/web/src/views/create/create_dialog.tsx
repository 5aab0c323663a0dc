import { useEffect, useState } from 'react';
import type { Profile } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient } from '../client';
import { useAction } from '../controls/action';
import { Button } from '../controls/button';
import { DialogFrame } from '../controls/dialog';
import { Choice, Field } from '../controls/field';
import { fieldError, Trouble } from '../controls/trouble';
import { openToWrite } from '../composer/drafts';
import { PeoplePicker } from './people_picker';

/** Starts a talk with one person, or a room for several. */
export default function CreateDialog({ as, onClose }: { as: 'direct' | 'group'; onClose: () => void }) {
  const client = useClient();
  const say = useWords();
  const [kind, setKind] = useState(as);
  const [people, setPeople] = useState<readonly Profile[]>([]);
  const [name, setName] = useState('');
  const [visibility, setVisibility] = useState<'private' | 'public'>('private');
  const { run, busy, error } = useAction();
  useEffect(() => void client.loadFriends().catch(() => undefined), [client]);
  const [first] = people;
  const ready = kind === 'direct' ? first !== undefined : name.trim() !== '';
  const create = (person: Profile | undefined) => void run(async () => {
    const room = kind === 'direct' && person ? await client.createDirect(person.id) : await client.createGroup({ name: name.trim(), members: people.map((one) => one.id), visibility });
    onClose();
    openToWrite(room);
  });
  return (
    <DialogFrame title={say('new_chat')} onClose={onClose}>
      <form className="form" onSubmit={(event) => { event.preventDefault(); if (ready) create(first); }}>
        <div className="segments" role="group" aria-label={say('new_chat')}>
          {(['direct', 'group'] as const).map((one) => (
            <button key={one} type="button" aria-pressed={kind === one} onClick={() => { setKind(one); setPeople([]); }}>{say(`create_${one}`)}</button>
          ))}
        </div>
        {kind === 'group' && <Field label={say('room_name')} autoFocus required maxLength={80} error={fieldError(error, 'name')} value={name} onChange={(event) => setName(event.target.value)} />}
        {kind === 'group' && (
          <Choice label={say('visibility')} name="visibility" value={visibility} onChange={setVisibility} options={[
            { value: 'private', label: say('private'), hint: say('private_hint') },
            { value: 'public', label: say('public'), hint: say('public_hint') },
          ]} />
        )}
        <PeoplePicker key={kind} many={kind === 'group'} autoFocus={kind === 'direct'} chosen={people} onChange={setPeople} {...(kind === 'direct' && { onPick: create })} />
        <Trouble error={error} />
        <div className="dialog-actions">
          <Button onClick={onClose}>{say('cancel')}</Button>
          <Button type="submit" look="primary" busy={busy} disabled={!ready}>{say(kind === 'direct' ? 'start_chat' : 'create_room')}</Button>
        </div>
      </form>
    </DialogFrame>
  );
}
