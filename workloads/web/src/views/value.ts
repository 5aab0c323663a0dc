import type { Readable } from '../core/interface';

/** A small state of the views that lives outside of React's tree: what is open, where the page is. */
export interface Value<T> extends Readable<T> {
  readonly set: (next: T) => void;
}

export function valueOf<T>(first: T): Value<T> {
  let value = first;
  const listeners = new Set<() => void>();
  return {
    get: () => value,
    set: (next) => {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
