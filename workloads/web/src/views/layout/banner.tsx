import { useEffect, useState } from 'react';
import { CloudOff, RefreshCw, TriangleAlert, X } from 'lucide-react';
import type { Status } from '../../core/interface';
import { useWords } from '../../language/language';
import type { Key } from '../../language/words';
import { useClient, useReadable } from '../client';
import { IconButton } from '../controls/button';
import { isWriting } from '../composer/drafts';
import { applyUpdate, updateReady } from '../service_worker/update';
import './banner.css';

/** A short loss of the connection is not worth a word, ms. */
const PATIENCE_MS = 3_000;

/** Quiet lines at the top: the connection, what this device cannot do, a new version. */
export function Banners() {
  return (
    <div className="banners" data-region="banner">
      <Connection />
      <Warnings />
      <Update />
    </div>
  );
}

function Connection() {
  const client = useClient();
  const say = useWords();
  const status = useReadable(client.status);
  const away = status.connection !== 'online' && status.connection !== 'catching-up';
  const patient = useLasting(away && status.connection !== 'offline' && status.connection !== 'stopped', PATIENCE_MS);
  const shown = status.connection === 'offline' || status.connection === 'stopped' || patient;
  return (
    <div role="status">
      {shown && (
        <p className="banner">
          <CloudOff size={16} aria-hidden />
          <span>{say(wordsFor(status))}{status.unsent > 0 && ` ${say('unsent', { count: status.unsent })}`}</span>
          {status.connection !== 'connecting' && <button type="button" onClick={() => client.reconnect()}>{say('try_now')}</button>}
        </p>
      )}
    </div>
  );
}

function wordsFor(status: Status): Key {
  if (status.connection === 'offline') return 'status_offline';
  return status.connection === 'stopped' ? 'status_stopped' : 'status_reconnecting';
}

/** True once `now` has been true for a while. */
function useLasting(now: boolean, ms: number): boolean {
  const [lasting, setLasting] = useState(false);
  useEffect(() => {
    if (!now) return setLasting(false);
    const timer = setTimeout(() => setLasting(true), ms);
    return () => clearTimeout(timer);
  }, [now, ms]);
  return now && lasting;
}

function Warnings() {
  const client = useClient();
  const say = useWords();
  const warnings = useReadable(client.warnings);
  return warnings.map((warning) => (
    <p key={warning.id} className="banner banner-warning" role="status">
      <TriangleAlert size={16} aria-hidden />
      <span>{say(`warning_${warning.code}`)}</span>
      <IconButton label={say('dismiss')} icon={X} size={16} onClick={() => client.dismissWarning(warning.id)} />
    </p>
  ));
}

/** How often it is looked whether the user still writes, ms. */
const LOOK_EVERY_MS = 2_000;

/** Offered when nothing is being written: a new version must not come under a draft. */
function Update() {
  const say = useWords();
  const ready = useReadable(updateReady);
  const [later, setLater] = useState(false);
  const [writing, setWriting] = useState(isWriting);
  useEffect(() => {
    if (!ready) return undefined;
    setWriting(isWriting());
    const timer = setInterval(() => setWriting(isWriting()), LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }, [ready]);
  if (!ready || later || writing) return null;
  return (
    <p className="banner banner-update" role="status">
      <RefreshCw size={16} aria-hidden />
      <span>{say('update_ready')}</span>
      <button type="button" onClick={() => applyUpdate(isWriting)}>{say('update_now')}</button>
      <button type="button" onClick={() => setLater(true)}>{say('later')}</button>
    </p>
  );
}
