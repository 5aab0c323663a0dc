import { Pencil, Reply, X } from 'lucide-react';
import type { Draft, Seq } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { IconButton } from '../controls/button';
import type { RoomFace } from '../room/face';
import { OriginText } from '../timeline/reply_quote';

/** Above the text: what is being edited, or what it answers. */
export function ComposerContext({ room, draft, thread, onCancel }: { room: RoomFace; draft: Draft; thread: Seq | undefined; onCancel: () => void }) {
  const say = useWords();
  if (draft.editing !== undefined) {
    return (
      <div className="composer-context">
        <Pencil size={14} aria-hidden />
        <span className="composer-context-text">{say('editing')}</span>
        <IconButton label={say('cancel_edit')} keys="Esc" icon={X} size={16} onClick={onCancel} />
      </div>
    );
  }
  if (draft.replyTo === undefined) return null;
  return (
    <div className="composer-context">
      <Reply size={14} aria-hidden />
      <span className="composer-context-text"><Origin room={room} seq={draft.replyTo} thread={thread} /></span>
      <IconButton label={say('cancel_reply')} keys="Esc" icon={X} size={16} onClick={onCancel} />
    </div>
  );
}

function Origin({ room, seq, thread }: { room: RoomFace; seq: Seq; thread: Seq | undefined }) {
  const client = useClient();
  const say = useWords();
  const timeline = useReadable(client.timeline(room.id));
  const inThread = thread === undefined ? undefined : client.thread(room.id, thread).get();
  const row = timeline.row(timeline.indexOf(seq)) ?? [inThread?.root, ...(inThread?.rows ?? [])].find((one) => one?.seq === seq);
  return row?.type === 'message' ? <OriginText origin={row} /> : <>{say('reply_to_earlier')}</>;
}
