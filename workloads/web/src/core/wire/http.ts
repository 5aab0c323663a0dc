/** Shapes of the HTTP API, `/v1`, that the client reads. */
import type { Entry, Position } from './entry';

export interface Profile {
  readonly id: string;
  readonly username: string;
  readonly display_name: string;
  readonly avatar?: string;
  readonly status?: { readonly text: string; readonly emoji: string; readonly until?: string };
}

export interface Me extends Profile {
  readonly email?: string;
  readonly read_receipts: boolean;
  readonly do_not_disturb_until?: string;
}

export interface SignedIn {
  readonly session_id: string;
  readonly user: Me;
  readonly access_token: string;
  readonly expires_in_seconds: number;
}

export interface RoomOut {
  readonly id: string;
  readonly kind: 'direct' | 'group';
  readonly name?: string;
  readonly visibility?: 'private' | 'public';
  readonly peer?: Profile;
  readonly member_count: number;
  readonly role: 'owner' | 'admin' | 'member';
  readonly head: Position;
  readonly head_ordinal: number;
  readonly read: Position;
  readonly read_ordinal: number;
  readonly unread_mentions: number;
  readonly marked_unread?: boolean;
  readonly preferences: { readonly notify: 'all' | 'mentions' | 'none'; readonly hidden?: boolean };
  readonly last_message?: Entry;
}

export interface MemberOut {
  readonly user: Profile;
  readonly role: 'owner' | 'admin' | 'member';
  readonly joined_at: string;
  readonly read?: Position;
  readonly delivered?: Position;
}

export interface SyncRequest {
  readonly rooms: readonly { readonly room: string; readonly position: Position }[];
  readonly inbox?: Position;
  readonly limit?: number;
}

export interface SyncRoomAnswer {
  readonly room: string;
  readonly head?: Position;
  readonly head_ordinal?: number;
  readonly entries?: readonly Entry[];
  readonly more?: boolean;
  readonly reset?: boolean;
  readonly error?: string;
}

export interface SyncAnswer {
  readonly rooms: readonly SyncRoomAnswer[];
  readonly inbox?: SyncRoomAnswer;
}

export interface History {
  readonly entries: readonly Entry[];
  readonly more: boolean;
}

export interface SessionOut {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  readonly created_at: string;
  readonly last_used_at: string;
  readonly current: boolean;
}

export type FriendStatus = 'requested' | 'incoming' | 'accepted' | 'blocked';

export interface FriendOut {
  readonly user: Profile;
  readonly status: FriendStatus;
  readonly since: string;
}

export interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly status: number;
  readonly fields?: readonly { readonly field: string; readonly detail: string }[];
}
