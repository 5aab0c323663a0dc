/** What a user of the engine decides, and the bounds it keeps. Rules and figures are those of the Rust client's core. */

export interface EngineSettings {
  readonly client: { readonly name: string; readonly version: string };
  /** How much of a log is taken when a room is first met: all of it, or what comes from now on. */
  readonly depth: 'everything' | 'from_now';
  /** Rows held per room; older ones are let go and can be loaded again. */
  readonly rowsPerRoom: number;
  /** A room that is further behind than this many entries goes on from its end; what lies between loads on demand. */
  readonly farBehind: number;
  /** Tell the server that entries were delivered, in rooms up to `SMALL_ROOM_MEMBERS`. */
  readonly delivered: boolean;
  /** Ask for a save before a message leaves, and when much has moved. */
  readonly save: boolean;
}

/** Wire contract: delivered watermarks exist up to this many members. */
export const SMALL_ROOM_MEMBERS = 32;
/** Wire contract: entries of one history page. */
export const HISTORY_PAGE = 200;
/** Wire contract: rooms of one sync call. */
export const SYNC_ROOMS = 500;

/** A socket that does not open within this, ms, is given up: three lost SYN packets. */
export const OPENING_MS = 15_000;
/** A server that does not answer `hello` within this, ms, is given up: as long as it waits for `hello`, and some. */
export const GREETING_MS = 15_000;
/** A connection that lasted this long, ms, was a good one: backoff starts anew. */
export const STABLE_MS = 60_000;
/** Messages wait at most this long, ms, for the catch-up after `welcome`. */
export const CATCH_UP_WAIT_MS = 5_000;
/** A gap waits this long, ms, for what is merely late before it is asked for. */
export const GAP_WAIT_MS = 250;
/** More rooms with gaps than this at once are asked for in one sync call. */
export const GAPS_AT_ONCE = 4;
/** Entries that came before their predecessors, per room. Beyond, the farthest is dropped and fetched again. */
export const EARLY_ENTRIES = 1_000;
/** Entries one sync answer is meant to hold, all rooms together: some MB at most. */
export const SYNC_ENTRIES = 5_000;
/** Fewest entries asked per room in one sync call. */
export const SYNC_ENTRIES_PER_ROOM = 10;
/** Heads are compared this often, ms: the loss of a log's last entry shows nowhere else. */
export const CHECK_EVERY_MS = 300_000;
/** An entry of a room nobody invited us to asks for the inbox at most this often, ms. */
export const STRANGER_EVERY_MS = 2_000;
/** Watermarks gather this long, ms, before they are sent. */
export const WATERMARK_EVERY_MS = 1_000;
/** Watermarks sent less than this before a connection broke, ms, are sent again on the next. */
export const WATERMARK_DOUBT_MS = 30_000;
/** Positions that moved are saved this long after, ms, unless something forces a save before. */
export const SAVE_EVERY_MS = 5_000;
/** Messages in the outbox, all rooms together; more are refused at once. */
export const OUTBOX_MESSAGES = 10_000;
/** Refused messages kept for the user to send again; the oldest is forgotten. */
export const FAILED_MESSAGES = 1_000;
/** A message without any answer for this long, ms, is sent again; each further time the wait doubles. */
export const ANSWER_MS = 30_000;
/** Longest such wait, ms: as long as the service parks a command. */
export const ANSWER_MOST_MS = 300_000;
/** Sends in one burst, in seconds of the sustained pace: half of what servers grant, as other devices share it. */
export const BURST_SECONDS = 5;
/** Rooms and users watched at once. */
export const WATCHED = 1_000;
/** Typing is said at most this often per room, ms. */
export const TYPING_EVERY_MS = 3_000;
/** Entries of the page a room met for the first time shows. */
export const FIRST_PAGE = 50;
/** A full outbox may have room again after this, ms. */
export const OUTBOX_FULL_WAIT_MS = 1_000;
