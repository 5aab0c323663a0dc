import { ArrowLeft, BellOff, Ellipsis, Lock, Users } from 'lucide-react';
import { useLanguage } from '../../language/language';
import { useReadable } from '../client';
import { minute } from '../clock';
import { Avatar, PresenceDot, usePresence } from '../controls/avatar';
import { IconButton } from '../controls/button';
import { MenuButton } from '../controls/menu_button';
import { roomMenu, useRoomActions } from '../rooms/room_menu';
import { go, type Panel } from '../route';
import type { RoomFace } from './face';

export function RoomHeader({ room, panel }: { room: RoomFace; panel: Panel | undefined }) {
  const { say } = useLanguage();
  const actions = useRoomActions(room);
  const members = panel?.kind === 'members';
  return (
    <header className="room-header">
      <IconButton className="back" label={say('back_to_rooms')} icon={ArrowLeft} onClick={() => go({ page: 'home' })} />
      <span className="avatar-stack">
        <Avatar id={room.peer?.id ?? room.id} name={room.title} room={room.kind === 'group'} />
        {room.peer && <PresenceDot user={room.peer.id} silent />}
      </span>
      <div className="room-header-words">
        <h1>
          <bdi>{room.title}</bdi>
          {room.visibility === 'private' && <Lock size={14} role="img" aria-label={say('private_room')} />}
          {room.notify === 'none' && <BellOff size={14} role="img" aria-label={say('muted')} />}
        </h1>
        <p>{room.peer ? <PeerLine room={room} /> : say('members', { count: room.memberCount })}</p>
      </div>
      {room.kind === 'group' && (
        <IconButton
          label={say('show_members')}
          icon={Users}
          aria-pressed={members}
          onClick={() => go(members ? { page: 'room', room: room.id } : { page: 'room', room: room.id, panel: { kind: 'members' } })}
        />
      )}
      <MenuButton label={say('room_actions')} icon={Ellipsis} groups={() => roomMenu(room, actions, say)} />
    </header>
  );
}

function PeerLine({ room }: { room: RoomFace }) {
  const { say, dates } = useLanguage();
  const presence = usePresence(room.peer?.id ?? '');
  const now = useReadable(minute);
  const status = room.peer?.status;
  if (status?.text) return <bdi>{status.emoji} {status.text}</bdi>;
  if (presence.status === 'offline' && presence.lastActive !== undefined) return say('last_active', { ago: dates.ago(presence.lastActive, now) });
  return presence.status === 'unknown' ? <bdi>@{room.peer?.username}</bdi> : say(`presence_${presence.status}`);
}
