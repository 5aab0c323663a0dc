import { lazy, Suspense, useMemo, useState } from 'react';
import type { MessageRow, Seq } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient } from '../client';
import { startEdit, startReply } from '../composer/drafts';
import type { RoomFace } from '../room/face';
import { go } from '../route';
import type { MessageActions } from './actions';

const Confirm = lazy(() => import('../controls/confirm'));

/** The actions of a list's rows, and the message whose deletion is being asked about. */
export function useListActions(room: RoomFace, thread: Seq | undefined, jump: (seq: Seq) => void) {
  const client = useClient();
  const [asked, setAsked] = useState<MessageRow>();
  const actions = useMemo<MessageActions>(
    () => ({
      room,
      inThread: thread !== undefined,
      jump,
      reply: (row) => startReply(client, room.id, row, thread),
      edit: (row) => startEdit(client, room.id, row, thread),
      remove: setAsked,
      react: (row, emoji) => {
        const mine = row.reactions.some((reaction) => reaction.emoji === emoji && reaction.mine);
        if (row.seq !== undefined) void client.react(room.id, row.seq, emoji, !mine);
      },
      openThread: (root) => go({ page: 'room', room: room.id, panel: { kind: 'thread', root } }),
    }),
    [client, room, thread, jump],
  );
  return { actions, asked, close: () => setAsked(undefined) };
}

export function DeleteQuestion({ actions, asked, close }: { actions: MessageActions; asked: MessageRow | undefined; close: () => void }) {
  const client = useClient();
  const say = useWords();
  if (!asked) return null;
  return (
    <Suspense>
      <Confirm
        title={say('delete_title')}
        text={say('delete_text')}
        action={say('delete')}
        onConfirm={() => client.delete(actions.room.id, asked.seq ?? asked.key)}
        onClose={close}
      />
    </Suspense>
  );
}
