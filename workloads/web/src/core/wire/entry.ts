/** Entries: the lines of a room's log, as the wire contract has them. */

export interface Position {
  readonly generation: number;
  readonly seq: number;
}

/** Nothing is held of a log. */
export const NOTHING: Position = { generation: 0, seq: 0 };

export interface Sender {
  readonly user: string;
  readonly session: string;
}

export interface Mentions {
  readonly users?: readonly string[];
  readonly room?: boolean;
}

export interface ReactionCount {
  readonly emoji: string;
  readonly count: number;
  readonly mine?: boolean;
}

/** A JSON object whose shape its kind tells. */
export type Content = { readonly [name: string]: unknown };

export interface Entry {
  readonly position: Position;
  readonly prev_seq: number;
  readonly ordinal: number;
  readonly message_id: string;
  readonly sender: Sender;
  readonly at: string;
  readonly kind: string;
  readonly content_type: string;
  readonly content: Content;
  readonly reply_to?: number;
  readonly thread?: number;
  readonly target?: number;
  readonly changed_seq?: number;
  readonly mentions?: Mentions;
  readonly silent?: boolean;
  readonly attachments?: readonly Content[];
  readonly expires_at?: string;
  readonly edited_at?: string;
  readonly deleted?: boolean;
  readonly reactions?: readonly ReactionCount[];
}

/** What a client asks to append. */
export interface Draft {
  readonly kind: string;
  readonly content: Content;
  readonly content_type?: string;
  readonly reply_to?: number;
  readonly thread?: number;
  readonly target?: number;
  readonly mentions?: Mentions;
  readonly silent?: boolean;
  readonly expires_at?: string;
}

export function isAfter(one: Position, other: Position): boolean {
  return one.generation > other.generation || (one.generation === other.generation && one.seq > other.seq);
}

/** Whether an entry of this kind changes another one of its room, named by `target`. */
export function needsTarget(kind: string): boolean {
  return kind === 'edit' || kind === 'delete' || kind === 'reaction';
}

const UNCOUNTED = new Set([
  'edit',
  'delete',
  'reaction',
  'member_joined',
  'member_left',
  'role_changed',
  'room_changed',
  'to_device',
]);

/** Whether an entry of this kind, not silent, raises the ordinal. */
export function countsAsUnread(kind: string): boolean {
  return !UNCOUNTED.has(kind);
}

/** The content type an entry of this kind has when its sender names none. */
export function defaultContentType(kind: string): string {
  if (kind === 'text') return 'text/plain';
  return kind === 'mls' ? 'message/mls' : 'application/json';
}

export function isEmpty(content: Content): boolean {
  for (const _ in content) return false;
  return true;
}
