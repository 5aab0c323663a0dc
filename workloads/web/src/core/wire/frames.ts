/** Frames of the socket, `klatch.v1+json`. */
import type { Content, Draft, Entry, Position } from './entry';

export interface Watch {
  readonly rooms?: readonly string[];
  readonly presence?: readonly string[];
}

export type ClientFrame =
  | {
      readonly type: 'hello';
      readonly token: string;
      readonly client?: { readonly name: string; readonly version: string };
      readonly resume?: { readonly connection: string };
    }
  | SendFrame
  | { readonly type: 'watermark'; readonly room: string; readonly read?: Position; readonly delivered?: Position }
  | SignalFrame
  | ({ readonly type: 'watch' } & Watch)
  | ({ readonly type: 'unwatch' } & Watch)
  | { readonly type: 'refresh'; readonly token: string }
  | { readonly type: 'ping'; readonly ref?: string };

export type SendFrame = { readonly type: 'send'; readonly message_id: string; readonly room: string } & Draft;

export interface SignalFrame {
  readonly type: 'signal';
  readonly room: string;
  readonly kind: string;
  readonly payload?: Content;
  readonly ttl_ms?: number;
}

export interface Welcome {
  readonly type: 'welcome';
  readonly connection: string;
  readonly session: string;
  readonly user: string;
  readonly inbox: string;
  readonly server_time: string;
  readonly heartbeat_ms: number;
  readonly limits: {
    readonly frame_bytes: number;
    readonly content_bytes: number;
    readonly in_flight: number;
    readonly sends_per_second: number;
  };
  readonly resumed: 'full' | 'partial' | 'none';
}

export interface StoredFrame {
  readonly type: 'stored';
  readonly message_id: string;
  readonly room: string;
  readonly position: Position;
  readonly ordinal: number;
  readonly at: string;
}

export interface RefusedFrame {
  readonly type: 'refused';
  readonly message_id: string;
  readonly room: string;
  readonly code: string;
  readonly detail: string;
  readonly retryable: boolean;
  readonly retry_after_ms?: number;
}

export interface WatermarkFrame {
  readonly type: 'watermark';
  readonly room: string;
  readonly user: string;
  readonly read?: Position;
  readonly delivered?: Position;
}

export interface SignalIn {
  readonly type: 'signal';
  readonly room: string;
  readonly user: string;
  readonly kind: string;
  readonly payload?: Content;
}

export interface PresenceFrame {
  readonly type: 'presence';
  readonly user: string;
  readonly status: 'online' | 'away' | 'offline';
  readonly last_active?: string;
}

export interface ErrorFrame {
  readonly type: 'error';
  readonly code: string;
  readonly detail: string;
  readonly ref?: string;
}

export type ServerFrame =
  | Welcome
  | { readonly type: 'accepted'; readonly message_id: string }
  | StoredFrame
  | RefusedFrame
  | { readonly type: 'message'; readonly room: string; readonly entry: Entry; readonly members_version: number }
  | { readonly type: 'position'; readonly room: string; readonly head: Position; readonly head_ordinal: number }
  | { readonly type: 'reset'; readonly room: string; readonly generation: number }
  | WatermarkFrame
  | SignalIn
  | PresenceFrame
  | { readonly type: 'busy'; readonly room?: string; readonly retry_after_ms: number }
  | { readonly type: 'reconnect'; readonly after_ms: number; readonly reason: string }
  | { readonly type: 'pong'; readonly ref?: string; readonly server_time: string }
  | ErrorFrame;

/** Close codes the client has to know (wire contract). */
export const CLOSE = { normal: 1000, heartbeatMissed: 4009, tokenExpired: 4401, sessionRevoked: 4503 } as const;

/** Whether a client comes back by itself after this close code. */
export function comesBack(code: number): boolean {
  return code < 4500 || code > 4999;
}
