import type { Client, Draft, MessageRow, RoomId, Seq } from '../../core/interface';
import { go } from '../route';
import { valueOf, type Value } from '../value';

const EMPTY: Draft = { text: '' };

interface Held {
  readonly value: Value<Draft>;
  touched: boolean;
}

const held = new Map<string, Held>();

const keyOf = (room: RoomId, thread: Seq | undefined): string => `${room}/${thread ?? ''}`;

/** What is being written in a room or one of its threads, at once; the core keeps it behind. */
export function draftFor(client: Client, room: RoomId, thread?: Seq): Value<Draft> {
  const key = keyOf(room, thread);
  const known = held.get(key);
  if (known) return known.value;
  const kept = client.draft(room, thread);
  const fresh: Held = { value: valueOf(kept.get() ?? EMPTY), touched: false };
  held.set(key, fresh);
  const stop = kept.subscribe(() => {
    if (fresh.touched) stop();
    else fresh.value.set(kept.get());
  });
  return fresh.value;
}

export function changeDraft(client: Client, room: RoomId, draft: Draft, thread?: Seq): void {
  const value = draftFor(client, room, thread);
  const own = held.get(keyOf(room, thread));
  if (own) own.touched = true;
  value.set(draft);
  client.saveDraft(room, draft, thread);
}

/** `thread`: the answer is written in its panel. */
export function startReply(client: Client, room: RoomId, row: MessageRow, thread?: Seq): void {
  if (row.seq === undefined) return;
  const { text, editing } = draftFor(client, room, thread).get();
  changeDraft(client, room, { text: editing === undefined ? text : '', replyTo: row.seq }, thread);
  focusComposer(thread);
}

export function startEdit(client: Client, room: RoomId, row: MessageRow, thread?: Seq): void {
  if (row.seq === undefined) return;
  changeDraft(client, room, { text: row.text, editing: row.seq }, thread);
  focusComposer(thread);
}

/** Somebody is in the middle of a sentence: the page must not be loaded anew now. */
export function isWriting(): boolean {
  return [...held.values()].some((one) => one.value.get().text.trim() !== '');
}

/** At sign-out nothing of what was written stays in memory. */
export function forgetDrafts(): void {
  held.clear();
}

/** Opens a room with the focus where its messages are written. */
export function openToWrite(room: RoomId): void {
  go({ page: 'room', room });
  focusComposer();
}

export function focusComposer(thread?: Seq): void {
  requestAnimationFrame(() => {
    const region = thread === undefined ? 'composer' : 'thread-composer';
    const input = document.querySelector<HTMLTextAreaElement>(`[data-region="${region}"] textarea`);
    input?.focus();
    input?.setSelectionRange(input.value.length, input.value.length);
  });
}
