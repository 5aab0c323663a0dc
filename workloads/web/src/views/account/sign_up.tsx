import { useState, type FormEvent } from 'react';
import { useWords } from '../../language/language';
import { useClient } from '../client';
import { useAction } from '../controls/action';
import { Button } from '../controls/button';
import { Field } from '../controls/field';
import { fieldError, Trouble } from '../controls/trouble';
import { formatRoute, go } from '../route';
import { deviceName } from './device';
import { AccountFrame } from './frame';
import { Password } from './password';

export function SignUp() {
  const client = useClient();
  const say = useWords();
  const [displayName, setDisplayName] = useState('');
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const { run, busy, error } = useAction();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const name = displayName.trim();
    void run(() => client.signUp({ username: username.trim(), password, deviceName: deviceName(), ...(name && { displayName: name }) })).then((done) => {
      if (done) go({ page: 'home' }, 'replace');
    });
  };
  return (
    <AccountFrame title={say('sign_up_title')} foot={<>{say('have_account')} <a href={formatRoute({ page: 'home' })}>{say('sign_in')}</a></>}>
      <form className="form" onSubmit={submit}>
        <Field label={say('display_name')} name="name" autoComplete="name" autoFocus hint={say('display_name_hint')} error={fieldError(error, 'display_name')} value={displayName} onChange={(event) => setDisplayName(event.target.value)} />
        <Field label={say('username')} name="username" autoComplete="username" autoCapitalize="none" spellCheck={false} required hint={say('username_hint')} error={fieldError(error, 'username')} value={username} onChange={(event) => setUsername(event.target.value)} />
        <Password label={say('password')} autoComplete="new-password" hint={say('password_hint')} error={fieldError(error, 'password')} value={password} onChange={setPassword} />
        <Trouble error={error} />
        <Button type="submit" look="primary" busy={busy}>{say(busy ? 'signing_up' : 'sign_up')}</Button>
      </form>
    </AccountFrame>
  );
}
