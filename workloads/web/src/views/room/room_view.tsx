import { lazy, Suspense, useEffect } from 'react';
import { SearchX } from 'lucide-react';
import type { RoomId, Seq } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { Composer } from '../composer/composer';
import { Button } from '../controls/button';
import { Empty, Skeleton } from '../controls/empty';
import { go, type Panel } from '../route';
import { TimelineView } from '../timeline/timeline';
import { useFace } from './face';
import { RoomHeader } from './room_header';
import { Typing } from './typing';
import './room.css';

const ThreadPanel = lazy(() => import('../thread/thread_panel'));
const MemberPanel = lazy(() => import('../members/member_panel'));

export function RoomView({ id, panel, at }: { id: RoomId; panel: Panel | undefined; at: Seq | undefined }) {
  const client = useClient();
  const say = useWords();
  const room = useFace(client, id);

  useEffect(() => {
    let end: (() => void) | undefined;
    const look = () => {
      const here = document.visibilityState === 'visible' && document.hasFocus();
      if (here) end ??= client.view(id);
      else {
        end?.();
        end = undefined;
      }
    };
    look();
    window.addEventListener('focus', look);
    window.addEventListener('blur', look);
    document.addEventListener('visibilitychange', look);
    return () => {
      end?.();
      window.removeEventListener('focus', look);
      window.removeEventListener('blur', look);
      document.removeEventListener('visibilitychange', look);
    };
  }, [client, id]);

  if (!room) return <NoRoom />;
  return (
    <>
      <main className="main" aria-label={room.title}>
        <RoomHeader room={room} panel={panel} />
        <TimelineView key={id} room={room} at={at} />
        <Composer key={`${id}-composer`} room={room} />
        <Typing room={id} />
      </main>
      {panel && (
        <Suspense fallback={<aside className="panel" aria-label={say('loading')}><Skeleton label={say('loading')} /></aside>}>
          {panel.kind === 'thread' ? <ThreadPanel key={panel.root} room={room} root={panel.root} /> : <MemberPanel key={id} room={room} />}
        </Suspense>
      )}
    </>
  );
}

/** None of ours, or not known yet. */
function NoRoom() {
  const say = useWords();
  const list = useReadable(useClient().rooms);
  return (
    <main className="main" data-region="main">
      {list.loaded ? (
        <Empty page icon={SearchX} title={say('no_room')} actions={<Button look="primary" onClick={() => go({ page: 'home' })}>{say('back_to_rooms')}</Button>}>{say('no_room_text')}</Empty>
      ) : (
        <Skeleton label={say('loading')} />
      )}
    </main>
  );
}
