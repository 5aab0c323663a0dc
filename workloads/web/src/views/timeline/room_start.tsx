import { UserPlus } from 'lucide-react';
import { useWords } from '../../language/language';
import { Avatar } from '../controls/avatar';
import { Button } from '../controls/button';
import { openDialog } from '../dialogs';
import type { RoomFace } from '../room/face';

/** The top of a room: who is in it and what to do first. */
export function RoomStart({ room }: { room: RoomFace }) {
  const say = useWords();
  const group = room.kind === 'group';
  return (
    <div className="room-start">
      <Avatar id={room.peer?.id ?? room.id} name={room.title} room={group} />
      <h2><bdi>{room.title}</bdi></h2>
      <p>{say(group ? 'room_start_group' : 'room_start_direct')}</p>
      {group && room.role !== 'member' && <Button icon={UserPlus} onClick={() => openDialog({ kind: 'add-members', room: room.id })}>{say('add_people')}</Button>}
    </div>
  );
}
