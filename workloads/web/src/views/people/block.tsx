import type { UserId } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient } from '../client';
import Confirm from '../controls/confirm';
import { useName } from '../controls/person';

export default function Block({ user, onClose }: { user: UserId; onClose: () => void }) {
  const client = useClient();
  const say = useWords();
  const name = useName(user);
  return <Confirm title={say('block_title', { name })} text={say('block_text')} action={say('block')} onConfirm={() => client.block(user)} onClose={onClose} />;
}
