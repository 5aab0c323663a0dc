import { useEffect, useState } from 'react';
import type { Profile, RoomId } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { useAction } from '../controls/action';
import { Button } from '../controls/button';
import { DialogFrame } from '../controls/dialog';
import { Trouble } from '../controls/trouble';
import { PeoplePicker } from './people_picker';

export default function AddMembers({ room, onClose }: { room: RoomId; onClose: () => void }) {
  const client = useClient();
  const say = useWords();
  const [people, setPeople] = useState<readonly Profile[]>([]);
  const members = useReadable(client.members(room)).members.map((member) => member.user.id);
  const { run, busy, error } = useAction();
  useEffect(() => void client.loadFriends().catch(() => undefined), [client]);
  const add = () => void run(async () => {
    for (const one of people) {
      await client.addMember(room, one.id);
      setPeople((left) => left.filter((other) => other.id !== one.id));
    }
    await client.loadMembers(room, true);
    onClose();
  });
  return (
    <DialogFrame title={say('add_people')} onClose={onClose}>
      <PeoplePicker autoFocus many chosen={people} without={members} onChange={setPeople} />
      <Trouble error={error} />
      <div className="dialog-actions">
        <Button onClick={onClose}>{say('cancel')}</Button>
        <Button look="primary" busy={busy} disabled={people.length === 0} onClick={add}>{say('add')}</Button>
      </div>
    </DialogFrame>
  );
}
