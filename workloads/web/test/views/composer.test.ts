import { expect, it } from 'vitest';
import type { Profile } from '../../src/core/interface';
import { emojiFor, mentionsIn, peopleFor, queryAt } from '../../src/views/composer/completion';
import { insert, prefix, wrap } from '../../src/views/composer/format';
import { ground, initials } from '../../src/views/controls/avatar';

const person = (id: string, username: string, displayName: string): Profile => ({ id, username, displayName });
const people = [person('1', 'ada', 'Ada Okafor'), person('2', 'olga', 'Olga Adams'), person('3', 'ben', 'Ben')];

it('finds the name being written at the caret', () => {
  expect(queryAt('hi @ad', 6)).toEqual({ of: 'people', start: 3, text: 'ad' });
  expect(queryAt('@', 1)).toEqual({ of: 'people', start: 0, text: '' });
  expect(queryAt('me@ad', 5)).toBeUndefined();
  expect(queryAt('@ada now', 8)).toBeUndefined();
});

it('offers people by user name, name and family name, and the room', () => {
  expect(peopleFor('ad', people, true).map((one) => one.text)).toEqual(['@ada', '@olga']);
  expect(peopleFor('ro', people, true).map((one) => one.text)).toEqual(['@room']);
  expect(peopleFor('ro', people, false)).toEqual([]);
});

it('finds the emoji being named at the caret, and no smiley, time or address', () => {
  expect(queryAt('well :thu', 9)).toEqual({ of: 'emoji', start: 5, text: 'thu' });
  expect(queryAt(':thumbs_up', 10)).toEqual({ of: 'emoji', start: 0, text: 'thumbs_up' });
  for (const text of [':t', ':)', ':D', 'at 10:30', 'https://example', 'a:smile', ':smile now']) expect(queryAt(text, text.length)).toBeUndefined();
});

it('offers emoji by their words', () => {
  const groups = [[{ emoji: '👍', label: 'thumbs up', words: 'thumbs up yes +1' }, { emoji: '👎', label: 'thumbs down', words: 'thumbs down no' }], [{ emoji: '🎉', label: 'party popper', words: 'party popper' }]];
  expect(emojiFor('thumbs_u', groups)).toEqual([{ kind: 'emoji', id: '👍', name: 'thumbs up', text: '👍' }]);
  expect(emojiFor('pop', groups).map((one) => one.text)).toEqual(['🎉']);
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
