import { useEffect, useState } from 'react';
import { Ellipsis, MessageCircle, ShieldCheck, UserMinus, UserPlus } from 'lucide-react';
import { VirtualList } from '../controls/virtual_list';
import type { Member, Role } from '../../core/interface';
import { useWords } from '../../language/language';
import type { Say } from '../../language/words';
import { useClient, useReadable } from '../client';
import { useAction } from '../controls/action';
import { Avatar, PresenceDot } from '../controls/avatar';
import { Button, IconButton } from '../controls/button';
import { Skeleton } from '../controls/empty';
import { MenuButton, type MenuEntry } from '../controls/menu_button';
import { Trouble } from '../controls/trouble';
import { openDialog } from '../dialogs';
import { PanelFrame } from '../layout/panel_frame';
import type { RoomFace } from '../room/face';
import { go } from '../route';
import './members.css';
import '../thread/thread.css';

const ROLES: readonly Role[] = ['owner', 'admin', 'member'];

export default function MemberPanel({ room }: { room: RoomFace }) {
  const client = useClient();
  const say = useWords();
  const list = useReadable(client.members(room.id));
  const { run, error } = useAction();
  const [narrow, setNarrow] = useState('');
  useEffect(() => void client.loadMembers(room.id, true).catch(() => undefined), [client, room.id]);
  const wanted = narrow.trim().toLowerCase();
  const members = wanted ? list.members.filter(({ user }) => `${user.displayName} ${user.username}`.toLowerCase().includes(wanted)) : list.members;
  const manages = room.role !== 'member';
  return (
    <PanelFrame
      className="members"
      title={say('members_title')}
      more={say('members', { count: room.memberCount })}
      actions={manages && <IconButton label={say('add_people')} icon={UserPlus} onClick={() => openDialog({ kind: 'add-members', room: room.id })} />}
      onClose={() => go({ page: 'room', room: room.id })}
    >
      <div className="members-find">
        <input className="input" type="search" placeholder={say('find_member')} aria-label={say('find_member')} value={narrow} onChange={(event) => setNarrow(event.target.value)} />
      </div>
      <Trouble error={error ?? list.error} />
      <div className="panel-body">
        {list.loading && list.members.length === 0 && <Skeleton lines={5} label={say('loading')} />}
        {wanted && members.length === 0 && <p className="members-none">{say('nobody_found')}</p>}
        <VirtualList data={members} as="ul" item="li">
          {(member: Member) => <MemberLine key={member.user.id} member={member} menu={() => menuFor(member, room, say, client, (act) => void run(act))} />}
        </VirtualList>
        {list.more && <div className="members-more"><Button busy={list.loading} onClick={() => void run(() => client.loadMembers(room.id))}>{say('load_more')}</Button></div>}
      </div>
    </PanelFrame>
  );
}

function MemberLine({ member, menu }: { member: Member; menu: () => readonly (readonly MenuEntry[])[] }) {
  const say = useWords();
  const { user, role } = member;
  const name = user.displayName || user.username;
  return (
    <div className="person">
      <span className="avatar-stack"><Avatar id={user.id} name={name} /><PresenceDot user={user.id} /></span>
      <span className="person-words">
        <bdi className="person-name">{name}</bdi>
        <bdi className="person-more">@{user.username}{user.status?.text && ` · ${user.status.emoji} ${user.status.text}`}</bdi>
      </span>
      {role !== 'member' && <span className="role">{say(`role_${role}`)}</span>}
      {menu().some((group) => group.length > 0) && <MenuButton label={say('actions_for', { name })} icon={Ellipsis} groups={menu} />}
    </div>
  );
}

function menuFor(member: Member, room: RoomFace, say: Say, client: ReturnType<typeof useClient>, run: (act: () => Promise<unknown>) => void): readonly (readonly MenuEntry[])[] {
  const account = client.account.get();
  if (account.state === 'signed-in' && account.user === member.user.id) return [];
  const { id } = member.user;
  const owner = room.role === 'owner';
  const manages = owner || (room.role === 'admin' && member.role === 'member');
  const change = (role: Role) => run(async () => {
    await client.changeRole(room.id, id, role);
    await client.loadMembers(room.id, true);
  });
  return [
    [{ id: 'message', label: say('message_person'), icon: MessageCircle, act: () => run(async () => go({ page: 'room', room: await client.createDirect(id) })) }],
    owner ? ROLES.map((role) => ({ id: role, label: say(`make_${role}`), icon: ShieldCheck, checked: role === member.role, act: () => change(role) })) : [],
    manages
      ? [{ id: 'remove', label: say('remove_member'), icon: UserMinus, danger: true, act: () => run(async () => {
          await client.removeMember(room.id, id);
          await client.loadMembers(room.id, true);
        }) }]
      : [],
  ];
}
