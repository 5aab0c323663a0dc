import { lazy, Suspense, useEffect } from 'react';
import { Compass, MessagesSquare, Plus, Users } from 'lucide-react';
import { useWords } from '../../language/language';
import { LiveRegion } from '../announce/announcer';
import { useClient, useReadable } from '../client';
import { Button } from '../controls/button';
import { Empty, Skeleton } from '../controls/empty';
import { openDialog } from '../dialogs';
import { useNotifications } from '../notifications/notify';
import { Sidebar } from '../rooms/sidebar';
import { RoomView } from '../room/room_view';
import { go, useRoute, type Route } from '../route';
import { Banners } from './banner';
import { useCommands } from './commands';
import { Dialogs } from './dialogs_host';
import './shell.css';

const SettingsPage = lazy(() => import('../settings/settings_page'));
const PeoplePage = lazy(() => import('../people/people_page'));
const ExplorePage = lazy(() => import('../explore/explore_page'));

/** When the first messages have long been there, ms. */
const AHEAD_MS = 4_000;

/** What the next click may want: it should open, not load. */
function fetchAhead(): void {
  void import('../thread/thread_panel');
  void import('../members/member_panel');
  void import('../settings/settings_page');
  void import('../people/people_page');
}

/** The signed-in page: rooms, what is open, and a panel beside it. On a phone one of them at a time. */
export function Shell() {
  const client = useClient();
  const route = useRoute();
  useCommands(client);
  useNotifications(client);
  useEffect(() => {
    const timer = setTimeout(fetchAhead, AHEAD_MS);
    return () => clearTimeout(timer);
  }, []);
  const panel = route.page === 'room' && route.panel ? 'panel' : 'plain';
  return (
    <div className={`shell shell-${panel}`} data-page={route.page}>
      <Banners />
      <Sidebar current={route.page === 'room' ? route.room : undefined} />
      <Suspense fallback={<main className="main"><Loading /></main>}>
        <Page route={route} />
      </Suspense>
      <Dialogs />
      <LiveRegion />
      <Title />
    </div>
  );
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case 'room':
      return <RoomView id={route.room} panel={route.panel} at={route.at} />;
    case 'settings':
      return <SettingsPage section={route.section} />;
    case 'people':
      return <PeoplePage />;
    case 'explore':
      return <ExplorePage />;
    default:
      return <Welcome />;
  }
}

function Loading() {
  return <Skeleton label={useWords()('loading')} />;
}

function Welcome() {
  const say = useWords();
  const list = useReadable(useClient().rooms);
  if (list.loaded && list.rows.length === 0) {
    const actions = (
      <>
        <Button icon={Users} onClick={() => go({ page: 'people' })}>{say('find_friends')}</Button>
        <Button icon={Compass} onClick={() => go({ page: 'explore' })}>{say('explore_title')}</Button>
      </>
    );
    return <main className="main" data-region="main"><Empty page icon={MessagesSquare} title={say('welcome_new')} actions={actions}>{say('welcome_new_text')}</Empty></main>;
  }
  return (
    <main className="main" data-region="main">
      <Empty page icon={MessagesSquare} title={say('welcome')} actions={<Button look="primary" icon={Plus} onClick={() => openDialog({ kind: 'create' })}>{say('new_chat')}</Button>}>
        {say('welcome_text')}
      </Empty>
    </main>
  );
}

/** The title follows what waits after this, ms. */
const TITLE_MS = 150;

/** The tab tells what waits: "(3) Room – Klatch". A part of its own, as each message changes the list that it reads. */
function Title(): null {
  const client = useClient();
  const rooms = useReadable(client.rooms);
  const route = useRoute();
  const open = rooms.rows.find((row) => route.page === 'room' && row.id === route.room)?.title;
  // What is read the moment it comes is no news: the title would flicker, and browsers ask for the icon each time.
  useEffect(() => {
    const waiting = rooms.mentions > 0 ? `(${rooms.mentions}) ` : rooms.unreadRooms > 0 ? '• ' : '';
    const timer = setTimeout(() => (document.title = `${waiting}${open ? `${open} – ` : ''}Klatch`), TITLE_MS);
    return () => clearTimeout(timer);
  }, [rooms.mentions, rooms.unreadRooms, open]);
  // Signed out, nothing of it stays.
  useEffect(() => () => void (document.title = 'Klatch'), []);
  return null;
}
