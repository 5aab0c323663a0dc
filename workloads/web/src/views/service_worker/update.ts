import { valueOf } from '../value';
import { scriptAddress } from './trusted';

/** A new version is installed and waits. */
export const updateReady = valueOf(false);

/** How often a page that stays open asks for a new version, ms. */
const ASK_EVERY_MS = 60 * 60_000;

let registered: ServiceWorkerRegistration | undefined;
let waiting: ServiceWorker | undefined;
let asked = false;

/** Installs the service worker; a new version waits until the user takes it. */
export async function watchForUpdates(): Promise<void> {
  if (!('serviceWorker' in navigator) || !import.meta.env.PROD) return;
  const registration = await navigator.serviceWorker.register(scriptAddress('/sw.js') as string, { scope: '/' });
  registered = registration;
  const offer = (worker: ServiceWorker | null) => {
    if (!worker || !navigator.serviceWorker.controller) return;
    waiting = worker;
    updateReady.set(true);
  };
  offer(registration.waiting);
  registration.addEventListener('updatefound', () => {
    const fresh = registration.installing;
    fresh?.addEventListener('statechange', () => fresh.state === 'installed' && offer(fresh));
  });
  // Only a takeover this page asked for loads it anew: another tab's must not take a draft away.
  navigator.serviceWorker.addEventListener('controllerchange', () => asked && location.reload());
  setInterval(() => void registration.update().catch(() => undefined), ASK_EVERY_MS);
}

export function applyUpdate(isWriting: () => boolean): void {
  if (isWriting()) return;
  asked = true;
  // The one that waits now: it may not be the one that was offered.
  (registered?.waiting ?? waiting)?.postMessage({ type: 'SKIP_WAITING' });
}
