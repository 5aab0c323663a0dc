import type { RoomId } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import Confirm from '../controls/confirm';
import { go } from '../route';

export default function Leave({ room, onClose }: { room: RoomId; onClose: () => void }) {
  const client = useClient();
  const say = useWords();
  const title = useReadable(client.room(room))?.title ?? '';
  const leave = async () => {
    await client.leave(room);
    go({ page: 'home' });
  };
  return <Confirm title={say('leave_title', { room: title })} text={say('leave_text')} action={say('leave')} onConfirm={leave} onClose={onClose} />;
}
