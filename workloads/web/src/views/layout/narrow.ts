import { useSyncExternalStore } from 'react';

/** One column: the same width as in the style sheets. */
const query = matchMedia('(max-width: 48rem)');

function subscribe(listener: () => void): () => void {
  query.addEventListener('change', listener);
  return () => query.removeEventListener('change', listener);
}

export function useNarrow(): boolean {
  return useSyncExternalStore(subscribe, () => query.matches);
}
