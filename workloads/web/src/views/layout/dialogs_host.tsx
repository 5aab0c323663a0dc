import { lazy, Suspense } from 'react';
import { useReadable } from '../client';
import { closeDialog, dialog } from '../dialogs';

const Switcher = lazy(() => import('../switcher/switcher'));
const Shortcuts = lazy(() => import('../shortcuts/shortcut_sheet'));
const Create = lazy(() => import('../create/create_dialog'));
const RoomSettings = lazy(() => import('../room_settings/room_settings'));
const AddMembers = lazy(() => import('../create/add_members'));
const Leave = lazy(() => import('../room_settings/leave'));
const Block = lazy(() => import('../people/block'));
const SignOut = lazy(() => import('../account/sign_out'));

/** The dialog that is open, if any; each is a piece of code of its own. */
export function Dialogs() {
  const open = useReadable(dialog);
  return <Suspense>{chosen()}</Suspense>;

  function chosen() {
    switch (open.kind) {
      case 'none':
        return null;
      case 'switcher':
        return <Switcher onClose={closeDialog} />;
      case 'shortcuts':
        return <Shortcuts onClose={closeDialog} />;
      case 'create':
        return <Create as={open.as ?? 'direct'} onClose={closeDialog} />;
      case 'room-settings':
        return <RoomSettings room={open.room} onClose={closeDialog} />;
      case 'add-members':
        return <AddMembers room={open.room} onClose={closeDialog} />;
      case 'leave':
        return <Leave room={open.room} onClose={closeDialog} />;
      case 'block':
        return <Block user={open.user} onClose={closeDialog} />;
      case 'sign-out':
        return <SignOut onClose={closeDialog} />;
    }
  }
}
