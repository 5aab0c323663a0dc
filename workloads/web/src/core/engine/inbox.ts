import type { Entry } from '../wire/entry';
import type { FriendStatus } from '../wire/http';

/** What an entry of a user's inbox means. */
export type Notice =
  | { readonly type: 'joined'; readonly room: string }
  | { readonly type: 'left'; readonly room: string }
  | { readonly type: 'friend'; readonly user: string; readonly status: FriendStatus | undefined }
  | { readonly type: 'preferences'; readonly room: string }
  | { readonly type: 'device_list'; readonly user: string }
  | { readonly type: 'other' };

const STATUSES = new Set<unknown>(['requested', 'incoming', 'accepted', 'blocked']);

/** Reads an entry; one that is not what its kind says is left to the user of the engine. */
export function readNotice(entry: Entry): Notice {
  const room = entry.content['room'];
  const user = entry.content['user'];
  if (typeof room === 'string') {
    if (entry.kind === 'member_joined') return { type: 'joined', room };
    if (entry.kind === 'member_left') return { type: 'left', room };
    if (entry.kind === 'preferences_changed') return { type: 'preferences', room };
  }
  if (typeof user === 'string') {
    if (entry.kind === 'device_list_changed') return { type: 'device_list', user };
    if (entry.kind === 'friend_changed') {
      // A status this version does not know, or the end of a friendship, is none.
      const status = entry.content['status'];
      return { type: 'friend', user, status: STATUSES.has(status) ? (status as FriendStatus) : undefined };
    }
  }
  return { type: 'other' };
}
