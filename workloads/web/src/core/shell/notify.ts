import type { Notification } from '../interface';
import type { Model } from '../model/model';
import { isMessage, mentions } from '../model/room_facts';
import { rowOfEntry } from '../model/row';
import type { Entry } from '../wire/entry';

/** What to notify of this entry; undefined: nothing, by its kind or by our preferences. */
export function toNotify(model: Model, room: string, entry: Entry): Notification | undefined {
  const facts = model.facts.get(room);
  const quiet = model.me.get()?.doNotDisturbUntil;
  if (!facts || !isMessage(entry) || entry.silent || entry.deleted || entry.sender.user === model.myId) return undefined;
  if (quiet !== undefined && Date.parse(quiet) > model.serverNow) return undefined;
  if (facts.notify === 'none' || (facts.notify === 'mentions' && !mentions(entry, model.myId))) return undefined;
  const row = rowOfEntry(entry, [], { me: model.myId, now: model.serverNow });
  return row.type === 'message' ? { room, title: model.book.room.of(room).get()?.title ?? '', row } : undefined;
}
