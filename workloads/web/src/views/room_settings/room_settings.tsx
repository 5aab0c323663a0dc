import { useState } from 'react';
import { DoorOpen, Trash2 } from 'lucide-react';
import type { Notify, RoomId } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { useAction } from '../controls/action';
import { Button } from '../controls/button';
import { DialogFrame } from '../controls/dialog';
import { Choice, Field } from '../controls/field';
import { fieldError, Trouble } from '../controls/trouble';
import Confirm from '../controls/confirm';
import { openDialog } from '../dialogs';
import { go } from '../route';

/** A group's name, who finds it, and what of it the user wants to hear. Roles are set in the member list. */
export default function RoomSettings({ room: id, onClose }: { room: RoomId; onClose: () => void }) {
  const client = useClient();
  const say = useWords();
  const room = useReadable(client.room(id));
  const [name, setName] = useState(room?.title ?? '');
  const [visibility, setVisibility] = useState(room?.visibility ?? 'private');
  const [deleting, setDeleting] = useState(false);
  const { run, busy, error } = useAction();
  if (!room) return null;
  const manages = room.role !== 'member';
  const changed = manages && (name.trim() !== room.title || visibility !== room.visibility);
  const save = () => void run(async () => {
    await client.changeRoom(id, { ...(name.trim() !== room.title && { name: name.trim() }), ...(visibility !== room.visibility && { visibility }) });
    onClose();
  });
  const remove = async () => {
    await client.deleteRoom(id);
    onClose();
    go({ page: 'home' });
  };
  if (deleting) return <Confirm title={say('delete_room_title', { room: room.title })} text={say('delete_room_text')} action={say('delete_room')} onConfirm={remove} onClose={() => setDeleting(false)} />;
  return (
    <DialogFrame title={say('room_settings')} onClose={onClose}>
      <form className="form" onSubmit={(event) => { event.preventDefault(); if (changed) save(); }}>
        <Field label={say('room_name')} required maxLength={80} readOnly={!manages} hint={manages ? undefined : say('only_managers')} error={fieldError(error, 'name')} value={name} onChange={(event) => setName(event.target.value)} />
        {manages && (
          <Choice label={say('visibility')} name="visibility" value={visibility} onChange={setVisibility} options={[
            { value: 'private', label: say('private'), hint: say('private_hint') },
            { value: 'public', label: say('public'), hint: say('public_hint') },
          ]} />
        )}
        <Choice<Notify> label={say('notify_title')} name="notify" value={room.notify} onChange={(notify) => void run(() => client.changePreferences(id, { notify }))} options={[
          { value: 'all', label: say('notify_all') },
          { value: 'mentions', label: say('notify_mentions') },
          { value: 'none', label: say('notify_none') },
        ]} />
        <Trouble error={error} />
        <div className="dialog-actions">
          <Button look="quiet" icon={DoorOpen} onClick={() => openDialog({ kind: 'leave', room: id })}>{say('leave')}</Button>
          {room.role === 'owner' && <Button look="quiet" className="button-quiet-danger" icon={Trash2} onClick={() => setDeleting(true)}>{say('delete_room')}</Button>}
          {manages && <Button type="submit" look="primary" busy={busy} disabled={!changed || name.trim() === ''}>{say('save')}</Button>}
        </div>
      </form>
    </DialogFrame>
  );
}
