import { Compass, Keyboard, LogOut, Search, Settings, SquarePen, Users } from 'lucide-react';
import type { RoomId } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { Avatar } from '../controls/avatar';
import { IconButton } from '../controls/button';
import { keyNames } from '../controls/key_names';
import { MenuButton } from '../controls/menu_button';
import { openDialog } from '../dialogs';
import { useNarrow } from '../layout/narrow';
import { formatRoute, go, useRoute } from '../route';
import { RoomList } from './room_list';

export function Sidebar({ current }: { current: RoomId | undefined }) {
  const client = useClient();
  const say = useWords();
  const me = useReadable(client.me);
  const route = useRoute();
  const narrow = useNarrow();
  // On a phone's first page the list is all there is: then it is the page's main part.
  const Frame = narrow && route.page === 'home' ? 'main' : 'nav';
  const name = me?.displayName || me?.username || '';
  return (
    <Frame className="sidebar" data-region="rooms" aria-label={say('rooms')}>
      {Frame === 'main' && <h1 className="unseen">{say('rooms')}</h1>}
      <header className="sidebar-head">
        <span className="sidebar-me">
          <Avatar id={me?.id ?? ''} name={name} />
          <span className="sidebar-name">
            <bdi>{name}</bdi>
            {me?.status?.text && <small><bdi>{me.status.emoji} {me.status.text}</bdi></small>}
          </span>
        </span>
        <MenuButton
          label={say('your_menu')}
          icon={Settings}
          groups={() => [
            [
              { id: 'settings', label: say('settings'), icon: Settings, act: () => go({ page: 'settings' }) },
              { id: 'shortcuts', label: say('shortcuts'), icon: Keyboard, keys: keyNames('Ctrl+/', say), act: () => openDialog({ kind: 'shortcuts' }) },
            ],
            [{ id: 'sign-out', label: say('sign_out'), icon: LogOut, act: () => openDialog({ kind: 'sign-out' }) }],
          ]}
        />
        <IconButton label={say('new_chat')} icon={SquarePen} onClick={() => openDialog({ kind: 'create' })} />
      </header>
      <button type="button" className="sidebar-find" aria-haspopup="dialog" onClick={() => openDialog({ kind: 'switcher' })}>
        <Search size={16} aria-hidden />
        <span>{say('switcher_button')}</span>
        <kbd aria-hidden="true">{keyNames('Ctrl K', say)}</kbd>
      </button>
      <RoomList current={current} />
      <div className="sidebar-foot">
        <a href={formatRoute({ page: 'people' })} aria-current={route.page === 'people' ? 'page' : undefined}>
          <Users size={17} aria-hidden />
          <span>{say('people')}</span>
          <Requests />
        </a>
        <a href={formatRoute({ page: 'explore' })} aria-current={route.page === 'explore' ? 'page' : undefined}>
          <Compass size={17} aria-hidden />
          <span>{say('explore')}</span>
        </a>
      </div>
    </Frame>
  );
}

function Requests() {
  const say = useWords();
  const { friends } = useReadable(useClient().friends);
  const count = friends.filter((friend) => friend.status === 'incoming').length;
  if (count === 0) return null;
  return (
    <span className="badge">
      <span aria-hidden="true">{count}</span>
      <span className="unseen">{say('requests', { count })}</span>
    </span>
  );
}
