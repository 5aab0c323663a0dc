import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { forgetDrafts } from '../composer/drafts';
import Confirm from '../controls/confirm';
import { go } from '../route';

export default function SignOut({ onClose }: { onClose: () => void }) {
  const client = useClient();
  const say = useWords();
  const { unsent } = useReadable(client.status);
  const leave = async () => {
    await client.signOut();
    forgetDrafts();
    go({ page: 'home' }, 'replace');
  };
  const text = unsent > 0 ? `${say('sign_out_text')} ${say('sign_out_unsent', { count: unsent })}` : say('sign_out_text');
  return <Confirm title={say('sign_out_title')} text={text} action={say('sign_out')} onConfirm={leave} onClose={onClose} />;
}
