/** A refused question is not asked again before, ms: 30 days. */
export const ASK_AGAIN_MS = 30 * 24 * 60 * 60_000;

/** What can be said about notifications: never ask unasked, never twice in a month. */
export type Ask = 'unsupported' | 'granted' | 'denied' | 'ask' | 'asked';

export function askState(permission: NotificationPermission | undefined, askedAt: number | undefined, now: number): Ask {
  if (permission === undefined) return 'unsupported';
  if (permission === 'granted' || permission === 'denied') return permission;
  return askedAt !== undefined && now - askedAt < ASK_AGAIN_MS ? 'asked' : 'ask';
}

export function currentPermission(): NotificationPermission | undefined {
  return 'Notification' in window ? Notification.permission : undefined;
}
