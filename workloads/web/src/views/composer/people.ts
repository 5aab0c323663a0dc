import { useEffect, useMemo } from 'react';
import type { Profile } from '../../core/interface';
import { useClient, useReadable } from '../client';
import type { RoomFace } from '../room/face';

/** Rooms above this read their members only when the panel asks; completion then knows the loaded ones. */
const LOAD_UP_TO = 500;

interface People {
  readonly people: readonly Profile[];
  /** They are still being read: who sends now would mention nobody. */
  readonly isLoading: boolean;
}

/** The people who can be mentioned in a room, as far as they are known here. */
export function usePeople(room: RoomFace, wanted: boolean): People {
  const client = useClient();
  const members = useReadable(client.members(room.id));
  const account = useReadable(client.account);
  const me = account.state === 'signed-in' ? account.user : '';
  const isLoading = wanted && room.memberCount <= LOAD_UP_TO && !members.error && (members.loading || members.more || members.members.length === 0);
  const lacking = isLoading && !members.loading;
  useEffect(() => {
    if (lacking) void client.loadMembers(room.id).catch(() => undefined);
  }, [client, room.id, lacking]);
  const people = useMemo(() => {
    const people = members.members.map((member) => member.user).filter((user) => user.id !== me);
    if (room.peer && !people.some((one) => one.id === room.peer?.id)) people.push(room.peer);
    return people;
  }, [members, room.peer, me]);
  return { people, isLoading };
}
