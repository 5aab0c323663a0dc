import type { Profile, UserId } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';

export function useProfile(user: UserId): Profile | undefined {
  return useReadable(useClient().profile(user));
}

export function nameOf(profile: Profile | undefined, fallback: string): string {
  return profile ? profile.displayName || profile.username : fallback;
}

export function useName(user: UserId): string {
  return nameOf(useProfile(user), useWords()('somebody'));
}

/** Isolated: a name with direction marks turns nothing around it. */
export function Name({ user }: { user: UserId }) {
  return <bdi>{useName(user)}</bdi>;
}
