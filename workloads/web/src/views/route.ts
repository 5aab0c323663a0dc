import { useSyncExternalStore } from 'react';
import type { RoomId, Seq } from '../core/interface';

export type SettingsPage = 'profile' | 'look' | 'notifications' | 'keyboard' | 'account' | 'sessions';
export const SETTINGS_PAGES: readonly SettingsPage[] = ['profile', 'look', 'notifications', 'keyboard', 'account', 'sessions'];

/** Where the page is. It lives in the address's fragment: every host can serve it, also offline. */
export type Route =
  | { readonly page: 'home' }
  | { readonly page: 'sign-up' }
  | { readonly page: 'room'; readonly room: RoomId; readonly panel?: Panel; readonly at?: Seq }
  | { readonly page: 'people' }
  | { readonly page: 'explore' }
  | { readonly page: 'settings'; readonly section?: SettingsPage };

export type Panel = { readonly kind: 'members' } | { readonly kind: 'thread'; readonly root: Seq };

const ROOM = /^[0-9a-zA-Z-]{1,64}$/;
const HOME: Route = { page: 'home' };

export function parseRoute(fragment: string): Route {
  const [page, first, second, third] = fragment.replace(/^#?\/?/, '').split('/');
  switch (page) {
    case 'sign-up':
    case 'people':
    case 'explore':
      return { page };
    case 'settings': {
      const section = SETTINGS_PAGES.find((known) => known === first);
      return section ? { page, section } : { page };
    }
    case 'room':
      return first && ROOM.test(first) ? parseRoom(first, second, third) : HOME;
    default:
      return HOME;
  }
}

function parseRoom(room: RoomId, what: string | undefined, seq: string | undefined): Route {
  if (what === 'members') return { page: 'room', room, panel: { kind: 'members' } };
  const number = Number(seq);
  if (!Number.isSafeInteger(number) || number < 1) return { page: 'room', room };
  if (what === 'thread') return { page: 'room', room, panel: { kind: 'thread', root: number } };
  if (what === 'at') return { page: 'room', room, at: number };
  return { page: 'room', room };
}

export function formatRoute(route: Route): string {
  switch (route.page) {
    case 'home':
      return '#/';
    case 'room':
      if (route.panel?.kind === 'members') return `#/room/${route.room}/members`;
      if (route.panel?.kind === 'thread') return `#/room/${route.room}/thread/${route.panel.root}`;
      return route.at ? `#/room/${route.room}/at/${route.at}` : `#/room/${route.room}`;
    case 'settings':
      return route.section ? `#/settings/${route.section}` : '#/settings';
    default:
      return `#/${route.page}`;
  }
}

let cached: { fragment: string; route: Route } = { fragment: '', route: HOME };

export function currentRoute(): Route {
  const fragment = location.hash;
  if (cached.fragment !== fragment) cached = { fragment, route: parseRoute(fragment) };
  return cached.route;
}

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  addEventListener('popstate', listener);
  return () => {
    removeEventListener('hashchange', listener);
    removeEventListener('popstate', listener);
  };
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, currentRoute);
}

export function go(route: Route, how: 'push' | 'replace' = 'push'): void {
  const fragment = formatRoute(route);
  if (location.hash === fragment) return;
  if (how === 'push') history.pushState(null, '', fragment);
  else history.replaceState(null, '', fragment);
  dispatchEvent(new PopStateEvent('popstate'));
}
