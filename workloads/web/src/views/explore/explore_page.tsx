import { useEffect, useState } from 'react';
import { Compass, Plus } from 'lucide-react';
import type { PublicRoom } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { useAction } from '../controls/action';
import { Avatar } from '../controls/avatar';
import { Button } from '../controls/button';
import { Empty, Skeleton } from '../controls/empty';
import { Trouble } from '../controls/trouble';
import { openDialog } from '../dialogs';
import { PageFrame } from '../layout/page_frame';
import { go } from '../route';
import '../members/members.css';

/** Rest after the last key before the server is asked, ms. */
const REST_MS = 200;

/** Public rooms to join. */
export default function ExplorePage() {
  const client = useClient();
  const say = useWords();
  const [query, setQuery] = useState('');
  const [found, setFound] = useState<readonly PublicRoom[]>();
  const { run, error } = useAction();
  const [failure, setFailure] = useState<unknown>();
  const mine = useReadable(client.rooms).rows;
  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      client.findPublicRooms(query.trim()).then(
        (rooms) => current && (setFound(rooms), setFailure(undefined)),
        (cause: unknown) => current && setFailure(cause),
      );
    }, query ? REST_MS : 0);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [client, query]);
  const join = (room: PublicRoom) => void run(async () => {
    await client.join(room.id);
    go({ page: 'room', room: room.id });
  });
  return (
    <PageFrame title={say('explore_title')}>
      <input className="input" type="search" aria-label={say('find_rooms')} placeholder={say('find_rooms')} value={query} onChange={(event) => setQuery(event.target.value)} />
      <Trouble error={error ?? failure} />
      {!found && failure === undefined && <Skeleton lines={4} label={say('loading')} />}
      {found?.length === 0 && (
        <Empty icon={Compass} title={say('no_public_rooms')} actions={<Button icon={Plus} look="primary" onClick={() => openDialog({ kind: 'create', as: 'group' })}>{say('create_room')}</Button>}>
          {say('no_public_rooms_text')}
        </Empty>
      )}
      <ul className="card-list">
        {found?.map((room) => (
          <li key={room.id}>
            <div className="person">
              <Avatar id={room.id} name={room.name} room />
              <span className="person-words">
                <bdi className="person-name">{room.name}</bdi>
                <span className="person-more">{say('members', { count: room.memberCount })}</span>
              </span>
              {mine.some((own) => own.id === room.id) ? (
                <Button onClick={() => go({ page: 'room', room: room.id })}>{say('open')}</Button>
              ) : (
                <Button look="primary" aria-label={say('join_room', { room: room.name })} onClick={() => join(room)}>{say('join')}</Button>
              )}
            </div>
          </li>
        ))}
      </ul>
    </PageFrame>
  );
}
