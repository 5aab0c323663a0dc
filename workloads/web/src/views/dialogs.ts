import type { RoomId, UserId } from '../core/interface';
import { valueOf } from './value';

/** The one dialog that is open over the page. */
export type Dialog =
  | { readonly kind: 'none' }
  | { readonly kind: 'switcher' }
  | { readonly kind: 'shortcuts' }
  | { readonly kind: 'create'; readonly as?: 'direct' | 'group' }
  | { readonly kind: 'room-settings'; readonly room: RoomId }
  | { readonly kind: 'add-members'; readonly room: RoomId }
  | { readonly kind: 'leave'; readonly room: RoomId }
  | { readonly kind: 'block'; readonly user: UserId }
  | { readonly kind: 'sign-out' };

const NONE: Dialog = { kind: 'none' };

export const dialog = valueOf<Dialog>(NONE);

export function openDialog(next: Dialog): void {
  dialog.set(next);
}

export function closeDialog(): void {
  dialog.set(NONE);
}
