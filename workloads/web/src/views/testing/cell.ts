import type { Readable } from '../../core/interface';
import { valueOf, type Value } from '../value';

export function fixed<T>(value: T): Readable<T> {
  return { get: () => value, subscribe: () => () => undefined };
}

/** One cell a key, made when it is first asked for. */
export function cells<T>(first: (key: string) => T): (key: string) => Value<T> {
  const made = new Map<string, Value<T>>();
  return (key) => {
    const known = made.get(key) ?? valueOf(first(key));
    made.set(key, known);
    return known;
  };
}
