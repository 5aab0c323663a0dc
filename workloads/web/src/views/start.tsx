import { createRoot } from 'react-dom/client';
import type { Client } from '../core/interface';
import '../look/tokens.css';
import '../look/base.css';
import { App } from './app';

/** Puts the views of a client into the page. */
export function start(client: Client, element: HTMLElement): void {
  createRoot(element).render(<App client={client} />);
}
