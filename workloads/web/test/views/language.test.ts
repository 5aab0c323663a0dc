import { expect, it } from 'vitest';
import german from '../../src/language/de.json';
import english from '../../src/language/en.json';
import { datesOf } from '../../src/language/dates';
import { choose, englishCatalogue, regional, speaker } from '../../src/language/words';

const holes = (text: string) => [...text.matchAll(/\{\w+\}/g)].map((match) => match[0]).sort();

it('says the same things in both languages, with the same holes', () => {
  expect(Object.keys(german).sort()).toEqual(Object.keys(english).sort());
  for (const [key, text] of Object.entries(english)) expect(holes((german as Record<string, string>)[key] ?? ''), key).toEqual(holes(text));
});

it('counts as the language does', () => {
  const say = speaker('en', englishCatalogue);
  expect(say('unread', { count: 1 })).toBe('1 unread message');
  expect(say('unread', { count: 1200 })).toBe('1,200 unread messages');
  expect(speaker('de', german)('unread', { count: 1200 })).toBe('1.200 ungelesene Nachrichten');
});

it('fills holes with text as it is', () => {
  expect(speaker('en', englishCatalogue)('block_title', { name: '<b>{name}</b>' })).toBe('Block <b>{name}</b>?');
});

it('chooses the first language there is a catalogue for', () => {
  expect(choose('system', ['fr', 'de-AT', 'en'])).toBe('de');
  expect(choose('system', ['fr'])).toBe('en');
  expect(choose('en', ['de'])).toBe('en');
});

it('writes times as the region does', () => {
  expect(regional('en', ['de-AT', 'en-GB', 'en-US'])).toBe('en-GB');
  expect(regional('de', ['en-GB'])).toBe('de');
  const evening = new Date(2026, 2, 10, 21, 5).getTime();
  expect(datesOf(regional('en', ['en-GB'])).time(evening)).toBe('21:05');
  expect(datesOf(regional('en', ['en-US'])).time(evening)).toMatch(/9:05\sPM/);
});

it('names days by the calendar', () => {
  const dates = datesOf('en');
  const now = new Date(2026, 2, 10, 0, 30).getTime();
  expect(dates.day(new Date(2026, 2, 9, 23, 50).getTime(), now)).toBe('Yesterday');
  expect(dates.day(now, now)).toBe('Today');
  expect(dates.ago(now - 3 * 3_600_000, now)).toBe('3 hours ago');
});
