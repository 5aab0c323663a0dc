import type { Client, Draft, MessageRow, RoomId } from '../../core/interface';
import { valueOf, type Value } from '../value';

const EMPTY: Draft = { text: '' };

interface Held {
  readonly value: Value<Draft>;
  touched: boolean;
}

const held = new Map<RoomId, Held>();

/** What is being written in a room, at once; the core keeps it behind. */
export function draftFor(client: Client, room: RoomId): Value<Draft> {
  const known = held.get(room);
  if (known) return known.value;
  const kept = client.draft(room);
  const fresh: Held = { value: valueOf(kept.get() ?? EMPTY), touched: false };
  held.set(room, fresh);
  const stop = kept.subscribe(() => {
    if (fresh.touched) stop();
    else fresh.value.set(kept.get());
  });
  return fresh.value;
}

export function changeDraft(client: Client, room: RoomId, draft: Draft): void {
  const value = draftFor(client, room);
  const own = held.get(room);
  if (own) own.touched = true;
  value.set(draft);
  client.saveDraft(room, draft);
}

export function startReply(client: Client, room: RoomId, row: MessageRow): void {
  if (row.seq === undefined) return;
  const { text, editing } = draftFor(client, room).get();
  changeDraft(client, room, { text: editing === undefined ? text : '', replyTo: row.seq });
  focusComposer();
}

export function startEdit(client: Client, room: RoomId, row: MessageRow): void {
  if (row.seq === undefined) return;
  changeDraft(client, room, { text: row.text, editing: row.seq });
  focusComposer();
}

/** Somebody is in the middle of a sentence: the page must not be loaded anew now. */
export function isWriting(): boolean {
  return [...held.values()].some((one) => one.value.get().text.trim() !== '');
}

/** At sign-out nothing of what was written stays in memory. */
export function forgetDrafts(): void {
  held.clear();
}

export function focusComposer(): void {
  requestAnimationFrame(() => {
    const input = document.querySelector<HTMLTextAreaElement>('[data-region="composer"] textarea');
    input?.focus();
    input?.setSelectionRange(input.value.length, input.value.length);
  });
}
