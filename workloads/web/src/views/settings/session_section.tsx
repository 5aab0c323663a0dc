import { useEffect } from 'react';
import { Monitor, SquareTerminal } from 'lucide-react';
import { useLanguage } from '../../language/language';
import { useClient, useReadable } from '../client';
import { minute } from '../clock';
import { useAction } from '../controls/action';
import { Button } from '../controls/button';
import { Skeleton } from '../controls/empty';
import { Trouble } from '../controls/trouble';
import '../members/members.css';
import '../layout/page.css';

/** The devices that are signed in; each can be put out. */
export function SessionSection() {
  const client = useClient();
  const { say, dates } = useLanguage();
  const { sessions, loaded, error } = useReadable(client.sessions);
  const now = useReadable(minute);
  const { run, error: failure } = useAction();
  useEffect(() => void client.loadSessions().catch(() => undefined), [client]);
  return (
    <>
      <p className="quiet">{say('sessions_text')}</p>
      <Trouble error={failure ?? error} />
      {!loaded && !error && <Skeleton lines={3} label={say('loading')} />}
      <ul className="card-list">
        {sessions.map((session) => {
          const Icon = session.kind === 'bot' ? SquareTerminal : Monitor;
          return (
            <li key={session.id} className="person">
              <Icon size={22} aria-hidden />
              <span className="person-words">
                <bdi className="person-name">{session.name || say('unnamed_device')}</bdi>
                <span className="person-more">{session.current ? say('this_device') : say('last_used', { ago: dates.ago(session.lastUsedAt, now) })} · {say('since', { date: dates.short(session.createdAt, now) })}</span>
              </span>
              {!session.current && <Button aria-label={say('revoke_session', { name: session.name })} onClick={() => void run(() => client.revokeSession(session.id))}>{say('revoke')}</Button>}
            </li>
          );
        })}
      </ul>
    </>
  );
}
