/**
 * The core of the web client, without React.
 *
 * ```ts
 * const client = await openClient();                      // once per page; follows another tab, or leads
 * const rooms = useSyncExternalStore(client.rooms.subscribe, client.rooms.get);
 * const timeline = client.timeline(room);                 // the same Readable for the same room each time
 * const rows = useSyncExternalStore(timeline.subscribe, timeline.get);
 * <Virtualizer count={rows.length} shift={rows.prepended !== last}>{(i) => render(rows.row(i))}</Virtualizer>
 * ```
 *
 * - Every piece of state is a `Readable`: `get()` answers the same object until it changes. Derive nothing with `filter` or
 *   `map` over a timeline: ask `row(index)` for what is mounted; rows keep their identity, so `memo` works.
 * - Subscribing loads: `timeline` opens the room (cache first, network behind), `presence` and `profile` ask for the user.
 * - A row's `key` is its message id, from the moment of typing on: a row keeps its place and focus when it is stored. The
 *   states delivered and read come from `receipts(room)`: a sent row at or below `readByAll` is read.
 * - The new-messages line: freeze `room(id).get()?.readSeq` when a room is opened; `timeline.indexAfter(readSeq)` is where it
 *   goes; if that row is not held, `loadAround(room, readSeq)` first. Call `markRead(room, seq)` for the last row in view.
 * - Actions on messages work offline and settle later; watch the row's `state`. Everything else rejects with `ClientError`.
 * - `view(room)` while a room is on screen; `typingIn(room)` at key presses; `saveDraft` at each change (it is thinned).
 */
export type * from './interface';
export { ClientError } from './error';
export { openClient, type ClientOptions } from './shell/open';
