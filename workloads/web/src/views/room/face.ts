import { useRef, useSyncExternalStore } from 'react';
import type { Client, RoomId, RoomRow } from '../../core/interface';

const FACE = ['id', 'kind', 'title', 'peer', 'visibility', 'memberCount', 'role', 'notify', 'hidden', 'left'] as const satisfies readonly (keyof RoomRow)[];

/** What a room is, without what every message changes: a view that shows this much is not drawn anew by messages and reading. */
export type RoomFace = Pick<RoomRow, (typeof FACE)[number]>;

export function isSameFace(one: RoomFace | undefined, other: RoomFace | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return FACE.every((field) => Object.is(one[field], other[field]));
}

/** The same object until something of the face changes. */
export function useFace(client: Client, id: RoomId): RoomFace | undefined {
  const last = useRef<RoomFace>(undefined);
  const room = client.room(id);
  return useSyncExternalStore(room.subscribe, () => {
    const now = room.get();
    if (!isSameFace(last.current, now)) last.current = now;
    return last.current;
  });
}
