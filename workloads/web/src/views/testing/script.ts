import type { MessageRow, Row } from '../../core/interface';
import { ME } from './people';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Half past two in the afternoon of the day the page is shown. */
export const NOW = (() => {
  const day = new Date();
  day.setHours(14, 30, 0, 0);
  return day.getTime();
})();

export function message(seq: number | undefined, sender: string, minutesAgo: number, text: string, more: Partial<MessageRow> = {}): MessageRow {
  return {
    type: 'message', key: `m-${seq ?? `own-${minutesAgo}`}`, ...(seq !== undefined && { seq }), sender, mine: sender === ME, at: NOW - minutesAgo * MINUTE, kind: 'text', text, content: { text },
    mentionsMe: false, mentions: { users: [], room: false }, reactions: [], deleted: false, expired: false, silent: false, state: 'sent', pending: false, ...more,
  };
}

/** A room as a team would fill it. */
export function launchRoom(): Row[] {
  const day = DAY / MINUTE;
  return [
    { type: 'notice', key: 'n-1', seq: 1, sender: ME, at: NOW - DAY - 300 * MINUTE, kind: 'member_joined', user: 'u-ada' },
    { type: 'notice', key: 'n-2', seq: 2, sender: ME, at: NOW - DAY - 299 * MINUTE, kind: 'member_joined', user: 'u-dmitri' },
    message(3, 'u-ada', day + 290, 'Morning! The **release notes** are in review. Two things are still open:\n\n1. screenshots of the new composer\n2. the section about _offline_ reading', { reactions: [{ emoji: '👀', count: 2, mine: true }] }),
    message(4, ME, day + 284, 'I can take the screenshots.'),
    message(5, ME, day + 283, 'Offline I would rather leave to Elif, she wrote it.'),
    message(6, 'u-elif', day + 240, 'Gladly. Draft tonight 👍', { reactions: [{ emoji: '🙏', count: 1, mine: true }] }),
    message(7, 'u-dmitri', 200, 'The importer choked on a file with 40,000 lines. This is the fix:\n\n```rust\nfn lines(reader: impl BufRead) -> impl Iterator<Item = Line> {\n    // One buffer for all lines: no allocation in the loop.\n    reader.split(b\'\\n\').map_while(Result::ok).map(Line::parse)\n}\n```\nIt needs a test with `\\r\\n` too.'),
    message(8, 'u-ada', 190, 'Nice. Does that hold with the file from last week as well?', { replyTo: 7 }),
    message(9, 'u-dmitri', 182, 'Yes, 3.1 s instead of 48.', { reactions: [{ emoji: '🎉', count: 3, mine: false }, { emoji: '🚀', count: 1, mine: true }] }),
    message(10, 'u-elif', 61, 'The draft is up: https://example.org/klatch/offline-reading (comments welcome)'),
    message(11, 'u-elif', 60, '> Everything you have read once can be read again without a network.\n\nToo bold, or fine?', { replies: { count: 3, complete: true, lastAt: NOW - 47 * MINUTE, people: ['u-elif', ME, 'u-ada'], unread: 2 } }),
    message(12, ME, 52, 'Fine. It is what it does.', { editedAt: NOW - 50 * MINUTE }),
    message(13, 'u-ada', 50, 'Agreed', { thread: 11 }),
    message(14, 'u-ben', 44, '', { deleted: true, content: {} }),
    message(15, 'u-farah', 40, 'هل يمكن أن نضيف لقطة شاشة بالعربية أيضًا؟', {}),
    message(16, ME, 33, 'Good idea, @farah. I will make one from right to left.', { mentions: { users: ['u-farah'], room: false } }),
    message(17, 'u-ada', 12, '@mira the picture on the front page still shows the old composer. Can you swap it before four?', { mentionsMe: true, mentions: { users: [ME], room: false } }),
    message(18, 'u-ada', 11, 'The one in dark, please ☕'),
    message(19, 'u-dmitri', 6, '🎉🎉'),
    message(20, ME, 3, 'On it. Swapped in a minute.'),
    message(undefined, ME, 1, 'Done, have a look.', { state: 'sending', key: 'm-sending' }),
    message(undefined, ME, 0, 'And here is the wide one.', { state: 'failed', key: 'm-failed', failure: { code: 'rate_limited', detail: '' } }),
  ];
}

export function hostileRows(): Row[] {
  return [
    message(1, 'u-ben', 9, '<img src=x onerror=alert(1)> <script>alert(1)</script> [press](javascript:alert(1)) [https://bank.example](https://evil.example)'),
    message(2, 'u-ben', 8, 'a\u202Egnp.exe and \u2067right\u2069'),
    message(3, 'u-ben', 7, 'x'.repeat(10_000)),
  ];
}

export function longRoom(count: number): Row[] {
  return Array.from({ length: count }, (_, index) => message(index + 1, index % 7 < 3 ? 'u-ada' : index % 7 < 5 ? ME : 'u-dmitri', count - index, `Line ${index + 1}. ${'Some words that wrap now and then. '.repeat(index % 5)}`));
}
