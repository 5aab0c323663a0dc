import { useEffect, useState } from 'react';
import type { Profile } from '../../core/interface';
import { useLanguage } from '../../language/language';
import { announce } from '../announce/announcer';
import { loadEmoji, type Emoji } from '../emoji/emoji';
import type { RoomFace } from '../room/face';
import { emojiFor, peopleFor, queryAt, type Offer, type Query } from './completion';

const NONE: readonly Offer[] = [];

interface Offers {
  readonly query: Query | undefined;
  readonly offers: readonly Offer[];
  readonly index: number;
  readonly choose: (index: number) => void;
  /** Until something else is written there. */
  readonly dismiss: () => void;
}

/** What could be meant by the "@name" or ":name" at the caret; `caret` is -1 while nothing is being written. */
export function useOffers(room: RoomFace, text: string, caret: number, people: readonly Profile[]): Offers {
  const { language, say } = useLanguage();
  const [chosen, choose] = useState(0);
  const [dismissedAt, setDismissedAt] = useState(-1);
  const [emoji, setEmoji] = useState<{ language: string; groups: readonly (readonly Emoji[])[] }>();

  const query = caret < 0 ? undefined : queryAt(text, caret);
  const asksEmoji = query?.of === 'emoji';
  useEffect(() => {
    if (!asksEmoji || emoji?.language === language) return;
    let current = true;
    // Without them, and without a network to fetch them, the text stays as it was typed.
    loadEmoji(language).then((groups) => current && setEmoji({ language, groups }), () => undefined);
    return () => {
      current = false;
    };
  }, [asksEmoji, emoji, language]);

  const offers = query && query.start !== dismissedAt ? find(query, room, people, emoji?.groups ?? []) : NONE;
  const start = query?.start;
  useEffect(() => choose(0), [start, query?.text]);
  useEffect(() => {
    if (offers.length > 0) announce(say('suggestions', { count: offers.length }));
  }, [offers.length, say]);
  return { query, offers, index: Math.min(chosen, offers.length - 1), choose, dismiss: () => setDismissedAt(start ?? -1) };
}

function find(query: Query, room: RoomFace, people: readonly Profile[], groups: readonly (readonly Emoji[])[]): Offer[] {
  return query.of === 'emoji' ? emojiFor(query.text, groups) : peopleFor(query.text, people, room.kind === 'group');
}
