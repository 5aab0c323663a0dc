import { useState, type FormEvent } from 'react';
import type { Account } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient } from '../client';
import { useAction } from '../controls/action';
import { Button } from '../controls/button';
import { Field } from '../controls/field';
import { Trouble } from '../controls/trouble';
import { formatRoute } from '../route';
import { deviceName } from './device';
import { AccountFrame } from './frame';
import { Password } from './password';

export function SignIn({ reason }: { reason: Extract<Account, { state: 'signed-out' }>['reason'] }) {
  const client = useClient();
  const say = useWords();
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const { run, busy, error } = useAction();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void run(() => client.signIn({ username: username.trim(), password, deviceName: deviceName() }));
  };
  return (
    <AccountFrame title={say('sign_in_title')} foot={<>{say('no_account')} <a href={formatRoute({ page: 'sign-up' })}>{say('sign_up')}</a></>}>
      {(reason === 'revoked' || reason === 'closed') && <p className="account-reason" role="status">{say(`signed_out_${reason}`)}</p>}
      <form className="form" onSubmit={submit}>
        <Field label={say('username')} name="username" autoComplete="username" autoCapitalize="none" spellCheck={false} required autoFocus value={username} onChange={(event) => setUsername(event.target.value)} />
        <Password label={say('password')} autoComplete="current-password" value={password} onChange={setPassword} />
        <Trouble error={error} />
        <Button type="submit" look="primary" busy={busy}>{say(busy ? 'signing_in' : 'sign_in')}</Button>
      </form>
    </AccountFrame>
  );
}
