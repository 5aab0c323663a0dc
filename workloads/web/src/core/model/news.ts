/** What the leading tab tells all tabs, itself included. Everything in it is plain data that a channel can carry. */
import type { Change, SavedMessage } from '../engine/events';
import type { Account, Draft, Settings, Status, Warning } from '../interface';
import type { Entry } from '../wire/entry';
import type { Me, MemberOut, Profile, RoomOut } from '../wire/http';
import type { Receipt } from './receipts';
import type { RoomFacts } from './room_facts';

/** A message of the outbox and how it stands. */
export interface Pending {
  readonly message: SavedMessage;
  readonly state: 'queued' | 'sending';
  /** When it was said, this device's clock. */
  readonly at: number;
}

/** A dense piece of a log: everything in `floor < seq <= head`. */
export interface Piece {
  readonly floor: number;
  readonly head: number;
  readonly entries: readonly Entry[];
}

export interface OpenedRoom {
  readonly generation: number;
  /** In order; the last one is live. */
  readonly pieces: readonly Piece[];
}

export type News =
  | Change
  | { readonly type: 'account'; readonly account: Account }
  | { readonly type: 'status'; readonly status: Status }
  | { readonly type: 'me'; readonly me: Me }
  /** Lines of the server's room list; `all`: rooms not among them are none of ours. */
  | { readonly type: 'listed'; readonly rooms: readonly RoomOut[]; readonly all: boolean }
  | { readonly type: 'opened'; readonly room: string; readonly opened: OpenedRoom }
  | { readonly type: 'page'; readonly room: string; readonly generation: number; readonly piece: Piece; readonly from: 'below' | 'above' }
  | { readonly type: 'loading_older'; readonly room: string; readonly loading: boolean; readonly failure?: { readonly code: string; readonly detail: string } }
  | { readonly type: 'said'; readonly pending: Pending }
  | { readonly type: 'revised'; readonly message_id: string; readonly message: SavedMessage }
  /** We have read up to here, by a click on this device. */
  | { readonly type: 'read'; readonly room: string; readonly seq: number }
  /** A thread was seen up to here, on this device. */
  | { readonly type: 'thread_read'; readonly room: string; readonly root: number; readonly seq: number }
  | { readonly type: 'marked_unread'; readonly room: string; readonly marked: boolean }
  | { readonly type: 'members'; readonly room: string; readonly members: readonly MemberOut[] }
  | { readonly type: 'profiles'; readonly profiles: readonly Profile[] }
  /** `room`: its id, or `draftKey` of a thread. */
  | { readonly type: 'draft'; readonly room: string; readonly draft: Draft }
  | { readonly type: 'settings'; readonly settings: Settings }
  | { readonly type: 'warnings'; readonly warnings: readonly Warning[] };

/** Everything but timelines: what a tab that comes later starts from. */
export interface State {
  readonly account: Account;
  readonly status: Status;
  readonly me: Me | undefined;
  readonly rooms: readonly RoomFacts[];
  readonly listLoaded: boolean;
  readonly outbox: readonly Pending[];
  readonly profiles: readonly Profile[];
  /** From an earlier life of the page: shown, and asked for again once somebody looks. */
  readonly oldProfiles?: readonly Profile[];
  readonly drafts: readonly (readonly [string, Draft])[];
  /** By room. */
  readonly receipts: readonly (readonly [string, readonly Receipt[]])[];
  readonly settings: Settings;
  readonly warnings: readonly Warning[];
}
