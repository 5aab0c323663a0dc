/** What the engine is told, and what it answers. Field names follow the wire, as fixtures are shared with the Rust client. */
import type { Draft, Entry, Position } from '../wire/entry';
import type { ClientFrame, ErrorFrame, PresenceFrame, ServerFrame, SignalFrame, SignalIn, Watch, WatermarkFrame } from '../wire/frames';
import type { FriendStatus, SyncAnswer, SyncRequest } from '../wire/http';
import type { Refusal } from './outbox';

/** Why a request was not answered: the server's code, none when it did not answer at all. */
export interface RequestFailure {
  readonly code?: string;
  readonly retry_after_ms?: number;
}

export interface ListedRoom {
  readonly room: string;
  readonly head: Position;
  readonly members: number;
}

export type Input =
  /** Time has passed. */
  | { readonly type: 'tick' }
  /** The user wants to be connected; also after a stop. */
  | { readonly type: 'start' }
  | { readonly type: 'stop' }
  /** The user is looking, or the network is back: check everything, do not wait. */
  | { readonly type: 'foreground' }
  | { readonly type: 'connected' }
  | { readonly type: 'frame'; readonly frame: ServerFrame }
  /** Something else came in: a frame of a newer version. */
  | { readonly type: 'heard' }
  /** The socket is closed, or could not be opened. Not told after `close_socket`. */
  | { readonly type: 'disconnected'; readonly code?: number; readonly retry_after_ms?: number }
  | { readonly type: 'token_refreshed'; readonly access_token: string; readonly lives_ms: number }
  | { readonly type: 'refresh_failed'; readonly failure: RequestFailure }
  /** The server did not take the access token in an HTTP call. */
  | { readonly type: 'token_rejected' }
  | { readonly type: 'rooms_answer'; readonly request: number; readonly rooms: readonly ListedRoom[]; readonly next?: string }
  | { readonly type: 'sync_answer'; readonly request: number; readonly answer: SyncAnswer }
  | { readonly type: 'history_answer'; readonly request: number; readonly entries: readonly Entry[] }
  | { readonly type: 'request_failed'; readonly request: number; readonly failure: RequestFailure }
  | { readonly type: 'say'; readonly message_id: string; readonly room: string; readonly draft: Draft; readonly awaits?: string }
  /** Another text for a message that has not left. */
  | { readonly type: 'revise'; readonly message_id: string; readonly draft: Draft }
  | { readonly type: 'retry'; readonly message_id: string }
  | { readonly type: 'discard'; readonly message_id: string }
  | { readonly type: 'read'; readonly room: string; readonly seq: number }
  | { readonly type: 'watch'; readonly watch: Watch }
  | { readonly type: 'unwatch'; readonly watch: Watch }
  | { readonly type: 'signal'; readonly signal: SignalFrame }
  /** The user scrolls back. */
  | { readonly type: 'older'; readonly room: string; readonly limit: number }
  /** The user is in this room, as an answer of the API has just said. */
  | { readonly type: 'entered'; readonly room: string };

/** Something to be done for the engine, in the order given. */
export type Effect =
  /** Write a snapshot, and let it be on disk before anything after this is done. */
  | { readonly type: 'save' }
  | { readonly type: 'open_socket' }
  | { readonly type: 'close_socket'; readonly code: number }
  | { readonly type: 'send_frames'; readonly frames: ClientFrame[] }
  | { readonly type: 'refresh_token' }
  | { readonly type: 'request_rooms'; readonly request: number; readonly after?: string }
  | { readonly type: 'request_sync'; readonly request: number; readonly body: SyncRequest }
  | { readonly type: 'request_history'; readonly request: number; readonly room: string; readonly limit: number; readonly after?: number; readonly before?: number }
  /** Send `tick` at this time of the outside clock; replaces the one before. */
  | { readonly type: 'set_timer'; readonly at: number | undefined }
  | { readonly type: 'changed'; readonly change: Change };

export type StopReason = 'asked' | 'closed' | 'signed_out' | 'other_user';

/** How a message of ours stands. `gone`: given up, or changed something that will never be. */
export type SentState =
  | { readonly state: 'queued' }
  | { readonly state: 'sending' }
  | { readonly state: 'stored'; readonly position: Position; readonly ordinal: number; readonly at: string }
  | { readonly state: 'refused'; readonly refusal: Refusal }
  | { readonly state: 'gone' };

export type Change =
  | { readonly type: 'online' }
  | { readonly type: 'offline'; readonly code?: number; readonly retry_in_ms: number }
  | { readonly type: 'stopped'; readonly reason: StopReason; readonly code?: number }
  /** Everything that was written while we were away is here. */
  | { readonly type: 'caught_up' }
  | { readonly type: 'joined'; readonly room: string }
  /** We are not in it any more; everything about it is dropped. */
  | { readonly type: 'left'; readonly room: string }
  /** New entries at the end of a room's log: dense, in order, each once. */
  | { readonly type: 'appended'; readonly room: string; readonly entries: readonly Entry[] }
  /** Older entries before those held: dense, in order. */
  | { readonly type: 'older'; readonly room: string; readonly entries: readonly Entry[] }
  /** A row is now this. */
  | { readonly type: 'updated'; readonly room: string; readonly entry: Entry }
  /** Rows held so far are dropped; what follows starts after this position. */
  | { readonly type: 'restarted'; readonly room: string; readonly position: Position }
  | ({ readonly type: 'message'; readonly message_id: string; readonly room: string } & SentState)
  | { readonly type: 'friend'; readonly user: string; readonly status: FriendStatus | undefined }
  | { readonly type: 'preferences'; readonly room: string }
  | { readonly type: 'device_list'; readonly user: string }
  | { readonly type: 'notice'; readonly entry: Entry }
  | { readonly type: 'watermark'; readonly frame: WatermarkFrame }
  | { readonly type: 'signal'; readonly frame: SignalIn }
  | { readonly type: 'presence'; readonly frame: PresenceFrame }
  | { readonly type: 'problem'; readonly frame: ErrorFrame };

/** The state of an engine that outlives its tab. Rows are not in it. */
export interface Snapshot {
  readonly user?: string;
  readonly inbox: Position;
  readonly rooms: readonly { readonly room: string; readonly position: Position }[];
  readonly outbox: readonly SavedMessage[];
}

export interface SavedMessage {
  readonly message_id: string;
  readonly room: string;
  readonly draft: Draft;
  readonly session?: string;
  readonly awaits?: string;
  /** It has never left: its text may still be changed. */
  readonly fresh?: boolean;
  readonly refused?: { readonly code: string; readonly detail: string };
}
