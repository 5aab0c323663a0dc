import type { Profile } from '../../core/interface';

const person = (id: string, username: string, displayName: string, status?: Profile['status']): Profile => ({ id, username, displayName, ...(status && { status }) });

export const ME = 'u-me';

export const PEOPLE: readonly Profile[] = [
  person(ME, 'mira', 'Mira Halden', { text: 'Writing the guide', emoji: '📝' }),
  person('u-ada', 'ada', 'Ada Okafor', { text: 'In the workshop until four', emoji: '🔧' }),
  person('u-ben', 'ben', 'Ben Castellanos'),
  person('u-chiara', 'chiara.b', 'Chiara Bianchi', { text: 'On holiday', emoji: '🏝️' }),
  person('u-dmitri', 'dmitri', 'Dmitri Volkov'),
  person('u-elif', 'elif', 'Elif Yıldız'),
  person('u-farah', 'farah', 'فرح الحسن'),
  person('u-george', 'george', 'George Tanaka'),
];

export const PRESENCE: Readonly<Record<string, 'online' | 'away' | 'offline'>> = {
  'u-ada': 'online', 'u-ben': 'away', 'u-chiara': 'offline', 'u-dmitri': 'online', 'u-elif': 'online', 'u-farah': 'offline', 'u-george': 'away', [ME]: 'online',
};
