import { useEffect, useRef } from 'react';
import type { Client, Notification as News, RoomId } from '../../core/interface';
import { useWords } from '../../language/language';
import { plainText } from '../markdown/parse';
import { go } from '../route';
import { chime } from './chime';

/** Characters of a message in a notification. */
const BODY_CHARACTERS = 180;

/** Shows what the core lets through, and takes it away when the room was read elsewhere. */
export function useNotifications(client: Client): void {
  const say = useWords();
  const words = useRef(say);
  words.current = say;
  useEffect(() => {
    const shown = new Map<RoomId, Notification>();
    const show = (news: News) => {
      const settings = client.settings.get();
      if (settings.sound) chime();
      if (!settings.notifications || !('Notification' in window) || Notification.permission !== 'granted') return;
      const body = plainText(news.row.text, BODY_CHARACTERS) || words.current('message_unknown');
      try {
        const one = new Notification(news.title, { body, tag: news.room, icon: '/icon-192.png', silent: true });
        one.onclick = () => {
          window.focus();
          go({ page: 'room', room: news.room });
          one.close();
        };
        shown.set(news.room, one);
      } catch {
        // Some phones allow notifications only from the service worker; the list's badge tells it too.
      }
    };
    const stopShowing = client.onNotification(show);
    const stopClearing = client.onRead((room) => {
      shown.get(room)?.close();
      shown.delete(room);
    });
    return () => {
      stopShowing();
      stopClearing();
      for (const one of shown.values()) one.close();
    };
  }, [client]);
}
