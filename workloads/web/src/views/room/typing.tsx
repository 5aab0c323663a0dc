import type { RoomId, UserId } from '../../core/interface';
import { useLanguage } from '../../language/language';
import { useClient, useReadable } from '../client';
import { useName } from '../controls/person';

/** Who writes just now. The line is always there, so that nothing moves. */
export function Typing({ room }: { room: RoomId }) {
  const people = useReadable(useClient().typing(room));
  const { say } = useLanguage();
  const [first, second] = people;
  return (
    <p className="typing" aria-hidden={people.length === 0}>
      {first && <span className="typing-dots" aria-hidden="true"><i /><i /><i /></span>}
      {people.length === 1 && first && <OneTypes user={first} />}
      {people.length === 2 && first && second && <TwoType one={first} other={second} />}
      {people.length > 2 && say('typing_many', { count: people.length })}
    </p>
  );
}

function OneTypes({ user }: { user: UserId }) {
  return useLanguage().say('typing_person', { name: `\u2068${useName(user)}\u2069` });
}

function TwoType({ one, other }: { one: UserId; other: UserId }) {
  const { say, dates } = useLanguage();
  return say('typing_two', { names: dates.list([`\u2068${useName(one)}\u2069`, `\u2068${useName(other)}\u2069`]) });
}
