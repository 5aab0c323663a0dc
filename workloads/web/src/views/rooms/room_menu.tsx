import { useMemo } from 'react';
import { AtSign, Ban, Bell, BellOff, DoorOpen, EyeOff, MailOpen, Settings2, UserPlus } from 'lucide-react';
import type { Notify } from '../../core/interface';
import type { Say } from '../../language/words';
import { announce } from '../announce/announcer';
import { useClient } from '../client';
import type { MenuEntry } from '../controls/menu_button';
import { openDialog } from '../dialogs';
import type { RoomFace } from '../room/face';
import { currentRoute, go } from '../route';

export interface RoomActions {
  readonly notify: (how: Notify) => void;
  readonly markUnread: () => void;
  readonly hide: (hidden: boolean) => void;
  readonly leave: () => void;
  readonly block: () => void;
}

export function useRoomActions(room: RoomFace): RoomActions {
  const client = useClient();
  return useMemo(() => {
    const away = () => {
      const route = currentRoute();
      if (route.page === 'room' && route.room === room.id) go({ page: 'home' });
    };
    const quietly = (action: Promise<unknown>) => void action.catch((error: unknown) => announce(String((error as Error).message)));
    return {
      notify: (how) => quietly(client.changePreferences(room.id, { notify: how })),
      markUnread: () => quietly(client.markUnread(room.id).then(away)),
      hide: (hidden) => quietly(client.changePreferences(room.id, { hidden }).then(hidden ? away : undefined)),
      leave: () => openDialog({ kind: 'leave', room: room.id }),
      block: () => openDialog({ kind: 'block', user: room.peer?.id ?? '' }),
    };
  }, [client, room]);
}

export function roomMenu(room: RoomFace, actions: RoomActions, say: Say): readonly (readonly MenuEntry[])[] {
  const notify = (how: Notify, label: string, icon: MenuEntry['icon']): MenuEntry => ({ id: how, label, ...(icon && { icon }), checked: room.notify === how, act: () => actions.notify(how) });
  return [
    [
      ...(room.kind === 'group' ? [{ id: 'settings', label: say('room_settings'), icon: Settings2, act: () => openDialog({ kind: 'room-settings', room: room.id }) }] : []),
      ...(room.kind === 'group' ? [{ id: 'add', label: say('add_people'), icon: UserPlus, act: () => openDialog({ kind: 'add-members', room: room.id }) }] : []),
      { id: 'unread', label: say('mark_unread'), icon: MailOpen, act: actions.markUnread },
    ],
    [notify('all', say('notify_all'), Bell), notify('mentions', say('notify_mentions'), AtSign), notify('none', say('notify_none'), BellOff)],
    [
      { id: 'hide', label: say(room.hidden ? 'unhide' : 'hide'), icon: EyeOff, act: () => actions.hide(!room.hidden) },
      ...(room.kind === 'group' ? [{ id: 'leave', label: say('leave'), icon: DoorOpen, danger: true, act: actions.leave }] : []),
      ...(room.peer ? [{ id: 'block', label: say('block'), icon: Ban, danger: true, act: actions.block }] : []),
    ],
  ];
}
