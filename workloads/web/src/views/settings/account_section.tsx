import { lazy, Suspense, useState, type FormEvent } from 'react';
import { LogOut } from 'lucide-react';
import { useWords } from '../../language/language';
import { announce } from '../announce/announcer';
import { Password } from '../account/password';
import { useClient } from '../client';
import { useAction } from '../controls/action';
import { Button } from '../controls/button';
import { fieldError, Trouble } from '../controls/trouble';
import { openDialog } from '../dialogs';

const Confirm = lazy(() => import('../controls/confirm'));

export function AccountSection() {
  const client = useClient();
  const say = useWords();
  const [old, setOld] = useState('');
  const [fresh, setFresh] = useState('');
  const [deleting, setDeleting] = useState(false);
  const { run, busy, error } = useAction();
  const change = (event: FormEvent) => {
    event.preventDefault();
    void run(() => client.changePassword(old, fresh)).then((done) => {
      if (!done) return;
      setOld('');
      setFresh('');
      announce(say('password_changed'));
    });
  };
  return (
    <>
      <form className="form" onSubmit={change}>
        <h3>{say('change_password')}</h3>
        <Password label={say('old_password')} autoComplete="current-password" value={old} onChange={setOld} />
        <Password label={say('new_password')} autoComplete="new-password" hint={say('change_password_hint')} error={fieldError(error, 'new')} value={fresh} onChange={setFresh} />
        <Trouble error={error} />
        <div><Button type="submit" look="primary" busy={busy} disabled={!old || !fresh}>{say('change_password')}</Button></div>
      </form>
      <div className="settings-block">
        <h3>{say('sign_out')}</h3>
        <p className="quiet">{say('sign_out_text')}</p>
        <div><Button icon={LogOut} onClick={() => openDialog({ kind: 'sign-out' })}>{say('sign_out')}</Button></div>
      </div>
      <div className="settings-block">
        <h3>{say('delete_account')}</h3>
        <p className="quiet">{say('delete_account_text')}</p>
        <div><Button look="danger" onClick={() => setDeleting(true)}>{say('delete_account')}</Button></div>
      </div>
      {deleting && (
        <Suspense>
          <Confirm title={say('delete_account_title')} text={say('delete_account_text')} action={say('delete_account')} onConfirm={() => client.deleteAccount()} onClose={() => setDeleting(false)} />
        </Suspense>
      )}
    </>
  );
}
