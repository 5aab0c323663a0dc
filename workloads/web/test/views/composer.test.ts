import { expect, it } from 'vitest';
import type { Profile } from '../../src/core/interface';
import { mentionsIn, offersFor, queryAt } from '../../src/views/composer/completion';
import { insert, prefix, wrap } from '../../src/views/composer/format';
import { ground, initials } from '../../src/views/controls/avatar';

const person = (id: string, username: string, displayName: string): Profile => ({ id, username, displayName });
const people = [person('1', 'ada', 'Ada Okafor'), person('2', 'olga', 'Olga Adams'), person('3', 'ben', 'Ben')];

it('finds the name being written at the caret', () => {
  expect(queryAt('hi @ad', 6)).toEqual({ start: 3, text: 'ad' });
  expect(queryAt('@', 1)).toEqual({ start: 0, text: '' });
  expect(queryAt('me@ad', 5)).toBeUndefined();
  expect(queryAt('@ada now', 8)).toBeUndefined();
});

it('offers people by user name, name and family name, and the room', () => {
  expect(offersFor('ad', people, true).map((one) => one.username)).toEqual(['ada', 'olga']);
  expect(offersFor('ro', people, true).map((one) => one.username)).toEqual(['room']);
  expect(offersFor('ro', people, false)).toEqual([]);
});

it('mentions whom it knows', () => {
  expect(mentionsIn('@Ada, @ben. and @nobody', people, true)).toEqual({ users: ['1', '3'] });
  expect(mentionsIn('@room!', people, true)).toEqual({ room: true });
  expect(mentionsIn('mail me@ada.org', people, true)).toBeUndefined();
});

it('puts marks around, and takes them away', () => {
  const marked = wrap({ text: 'a word b', start: 2, end: 6 }, '**');
  expect(marked).toEqual({ text: 'a **word** b', start: 4, end: 8 });
  expect(wrap(marked, '**')).toEqual({ text: 'a word b', start: 2, end: 6 });
  expect(prefix({ text: 'x\ny', start: 0, end: 3 }, '> ').text).toBe('> x\n> y');
  expect(insert({ text: 'ab', start: 1, end: 1 }, '🎉')).toEqual({ text: 'a🎉b', start: 3, end: 3 });
});

it('makes initials of whole characters', () => {
  expect(initials('Ada Okafor')).toBe('AO');
  expect(initials('  ')).toBe('?');
  expect(initials('🎉 𝒜')).toBe('𝒜');
  expect(initials('<script>')).toBe('S');
  expect(ground('any id')).toBeLessThan(8);
});
