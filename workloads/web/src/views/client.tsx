import { createContext, useContext, useSyncExternalStore } from 'react';
import type { Client, Readable } from '../core/interface';

const Context = createContext<Client | undefined>(undefined);

export const ClientProvider = Context;

export function useClient(): Client {
  const client = useContext(Context);
  if (!client) throw new Error('a view was rendered outside of the client provider');
  return client;
}

/** The value, and a new render when it changes. */
export function useReadable<T>(readable: Readable<T>): T {
  return useSyncExternalStore(readable.subscribe, readable.get);
}
