import { useEffect, useState } from 'react';
import { Ban, Ellipsis, MessageCircle, UserMinus, UserPlus, Users } from 'lucide-react';
import type { Friend, Profile } from '../../core/interface';
import { useWords } from '../../language/language';
import type { Key } from '../../language/words';
import { useClient, useReadable } from '../client';
import { useAction } from '../controls/action';
import { Button, IconButton } from '../controls/button';
import { Empty, Skeleton } from '../controls/empty';
import { MenuButton } from '../controls/menu_button';
import { Trouble } from '../controls/trouble';
import { openDialog } from '../dialogs';
import { PageFrame } from '../layout/page_frame';
import { go } from '../route';
import { useFoundPeople } from './find_people';
import { PersonLine } from './person_line';

const GROUPS: readonly { status: Friend['status']; title: Key }[] = [
  { status: 'incoming', title: 'friends_incoming' },
  { status: 'accepted', title: 'friends_accepted' },
  { status: 'requested', title: 'friends_requested' },
  { status: 'blocked', title: 'friends_blocked' },
];

/** Friends, requests, blocks, and a search for others. */
export default function PeoplePage() {
  const client = useClient();
  const say = useWords();
  const { friends, loaded } = useReadable(client.friends);
  const [query, setQuery] = useState('');
  const found = useFoundPeople(query);
  const { run, error } = useAction();
  const act = (action: () => Promise<unknown>) => void run(action);
  useEffect(() => void client.loadFriends().catch(() => undefined), [client]);
  const talk = (user: Profile) => act(async () => go({ page: 'room', room: await client.createDirect(user.id) }));
  const talkButton = (user: Profile) => <IconButton label={say('message_person')} icon={MessageCircle} onClick={() => talk(user)} />;
  return (
    <PageFrame title={say('people')}>
      <input className="input" type="search" aria-label={say('find_people')} placeholder={say('find_people')} value={query} onChange={(event) => setQuery(event.target.value)} />
      <Trouble error={error ?? found.error} />
      {found.asked && (
        <section aria-label={say('search_results')}>
          {found.people.length === 0 && <p className="quiet" role="status">{say(found.searching ? 'searching' : 'nobody_found')}</p>}
          <ul className="card-list">
            {found.people.map((user) => (
              <li key={user.id}>
                <PersonLine user={user}>
                  {talkButton(user)}
                  {!friends.some((friend) => friend.user.id === user.id) && <Button icon={UserPlus} onClick={() => act(() => client.befriend(user.id))}>{say('befriend')}</Button>}
                </PersonLine>
              </li>
            ))}
          </ul>
        </section>
      )}
      {!loaded && friends.length === 0 && <Skeleton lines={4} label={say('loading')} />}
      {loaded && friends.length === 0 && !found.asked && <Empty icon={Users} title={say('no_friends')}>{say('no_friends_text')}</Empty>}
      {GROUPS.map(({ status, title }) => {
        const group = friends.filter((friend) => friend.status === status);
        if (group.length === 0) return null;
        return (
          <section key={status} aria-label={say(title)}>
            <h2>{say(title)} <span className="quiet">{group.length}</span></h2>
            <ul className="card-list">
              {group.map(({ user }) => (
                <li key={user.id}>
                  <PersonLine user={user}>
                    {status === 'accepted' && talkButton(user)}
                    {status === 'incoming' && <Button look="primary" onClick={() => act(() => client.befriend(user.id))}>{say('accept')}</Button>}
                    {status === 'incoming' && <Button onClick={() => act(() => client.unfriend(user.id))}>{say('decline')}</Button>}
                    {status === 'accepted' && (
                      <MenuButton label={say('actions_for', { name: user.displayName || user.username })} icon={Ellipsis} groups={() => [[
                        { id: 'unfriend', label: say('unfriend'), icon: UserMinus, act: () => act(() => client.unfriend(user.id)) },
                        { id: 'block', label: say('block'), icon: Ban, danger: true, act: () => openDialog({ kind: 'block', user: user.id }) },
                      ]]} />
                    )}
                    {status === 'requested' && <Button look="quiet" onClick={() => act(() => client.unfriend(user.id))}>{say('withdraw')}</Button>}
                    {status === 'blocked' && <Button onClick={() => act(() => client.unblock(user.id))}>{say('unblock')}</Button>}
                  </PersonLine>
                </li>
              ))}
            </ul>
          </section>
        );
      })}
    </PageFrame>
  );
}
