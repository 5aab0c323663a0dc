import { useEffect, useState, type FormEvent } from 'react';
import { Smile } from 'lucide-react';
import { useWords } from '../../language/language';
import { announce } from '../announce/announcer';
import { useClient, useReadable } from '../client';
import { useAction } from '../controls/action';
import { Avatar } from '../controls/avatar';
import { Button } from '../controls/button';
import { Field, Toggle } from '../controls/field';
import { fieldError, Trouble } from '../controls/trouble';
import { EmojiButton } from '../emoji/emoji_button';

export function ProfileSection() {
  const client = useClient();
  const say = useWords();
  const me = useReadable(client.me);
  const [name, setName] = useState(me?.displayName ?? '');
  const [status, setStatus] = useState(me?.status?.text ?? '');
  const [emoji, setEmoji] = useState(me?.status?.emoji ?? '');
  const { run, busy, error } = useAction();
  const id = me?.id;
  useEffect(() => {
    const now = client.me.get();
    setName(now?.displayName ?? '');
    setStatus(now?.status?.text ?? '');
    setEmoji(now?.status?.emoji ?? '');
  }, [client, id]);
  const save = (event: FormEvent) => {
    event.preventDefault();
    void run(() => client.changeProfile({ displayName: name.trim(), status: status.trim() || emoji ? { text: status.trim(), emoji } : null })).then((done) => done && announce(say('saved')));
  };
  const changed = name.trim() !== me?.displayName || status.trim() !== (me?.status?.text ?? '') || emoji !== (me?.status?.emoji ?? '');
  return (
    <>
      <div className="settings-me">
        <Avatar id={me?.id ?? ''} name={me?.displayName ?? ''} />
        <div>
          <bdi className="person-name">{me?.displayName}</bdi>
          <p className="quiet"><bdi>@{me?.username}</bdi></p>
        </div>
      </div>
      <form className="form" onSubmit={save}>
        <Field label={say('display_name')} autoComplete="name" maxLength={80} required error={fieldError(error, 'display_name')} value={name} onChange={(event) => setName(event.target.value)} />
        <div className="settings-status">
          <Field label={say('status')} maxLength={100} placeholder={say('status_placeholder')} error={fieldError(error, 'status')} value={status} onChange={(event) => setStatus(event.target.value)} />
          <span className="settings-emoji">{emoji && <span aria-hidden="true">{emoji}</span>}<EmojiButton label={say('status_emoji')} icon={Smile} onPick={setEmoji} /></span>
        </div>
        <Trouble error={error} />
        <div><Button type="submit" look="primary" busy={busy} disabled={!changed || name.trim() === ''}>{say('save')}</Button></div>
      </form>
      <Toggle label={say('read_receipts')} hint={say('read_receipts_hint')} checked={me?.readReceipts ?? true} onChange={(readReceipts) => void run(() => client.changeProfile({ readReceipts }))} />
    </>
  );
}
