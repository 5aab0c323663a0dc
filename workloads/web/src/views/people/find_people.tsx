import { useEffect, useState } from 'react';
import type { Profile } from '../../core/interface';
import { useClient } from '../client';

/** Rest after the last key before the server is asked, ms. */
const REST_MS = 200;

/** People whose name begins like the query; the latest question's answer only. */
export function useFoundPeople(query: string) {
  const client = useClient();
  const [found, setFound] = useState<{ query: string; people: readonly Profile[]; error?: unknown }>({ query: '', people: [] });
  const wanted = query.trim().replace(/^@/, '');
  useEffect(() => {
    if (!wanted) return undefined;
    let current = true;
    const timer = setTimeout(() => {
      client.findUsers(wanted).then(
        (people) => current && setFound({ query: wanted, people }),
        (error: unknown) => current && setFound({ query: wanted, people: [], error }),
      );
    }, REST_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [client, wanted]);
  const account = client.account.get();
  const me = account.state === 'signed-in' ? account.user : '';
  const people = wanted ? found.people.filter((one) => one.id !== me) : [];
  return { people, error: wanted ? found.error : undefined, searching: wanted !== '' && found.query !== wanted, asked: wanted !== '' };
}
