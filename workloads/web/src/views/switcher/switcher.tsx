import { useMemo, useState } from 'react';
import { Autocomplete } from 'react-aria-components/Autocomplete';
import { Dialog } from 'react-aria-components/Dialog';
import { Input } from 'react-aria-components/Input';
import { ListBox, ListBoxItem } from 'react-aria-components/ListBox';
import { Modal, ModalOverlay } from 'react-aria-components/Modal';
import { TextField } from 'react-aria-components/TextField';
import { Search } from 'lucide-react';
import type { RoomRow } from '../../core/interface';
import { useWords } from '../../language/language';
import { useClient, useReadable } from '../client';
import { Avatar } from '../controls/avatar';
import { openToWrite } from '../composer/drafts';
import { useFoundPeople } from '../people/find_people';
import { rank } from './rank';
import '../controls/dialog.css';
import './switcher.css';

/** Rooms and people offered at a time. */
const OFFERED = 12;

interface Target {
  readonly id: string;
  readonly name: string;
  readonly more: string;
  readonly room?: RoomRow;
}

/** Goes to a room by some letters of its name, or starts a talk with somebody found. */
export default function Switcher({ onClose }: { onClose: () => void }) {
  const client = useClient();
  const say = useWords();
  const { rows, hidden } = useReadable(client.rooms);
  const [query, setQuery] = useState('');
  const found = useFoundPeople(query);
  const targets = useMemo(() => {
    const ranked = [...rows, ...hidden]
      .map((room) => ({ room, order: rank(`${room.title} ${room.peer?.username ?? ''}`, query) }))
      .filter((one): one is { room: RoomRow; order: number } => one.order !== undefined)
      .sort((one, other) => one.order - other.order || unreadFirst(one.room, other.room) || other.room.lastAt - one.room.lastAt);
    const rooms: Target[] = ranked.slice(0, OFFERED).map(({ room }) => ({ id: room.id, name: room.title, more: room.peer ? `@${room.peer.username}` : say('members', { count: room.memberCount }), room }));
    const known = new Set(rows.map((room) => room.peer?.id));
    const people = found.people.filter((one) => !known.has(one.id)).slice(0, OFFERED - Math.min(rooms.length, OFFERED - 3));
    return [...rooms, ...people.map((one): Target => ({ id: `user:${one.id}`, name: one.displayName || one.username, more: `@${one.username} · ${say('start_chat')}` }))];
  }, [rows, hidden, query, found.people, say]);

  const choose = async (key: string) => {
    onClose();
    const room = key.startsWith('user:') ? await client.createDirect(key.slice(5)).catch(() => undefined) : key;
    if (!room) return;
    openToWrite(room);
  };

  return (
    <ModalOverlay className="dialog-scrim" isOpen isDismissable onOpenChange={(open) => !open && onClose()}>
      <Modal className="dialog">
        <Dialog className="switcher" aria-label={say('switcher')}>
          <Autocomplete inputValue={query} onInputChange={setQuery}>
            <TextField className="switcher-field" aria-label={say('switcher')} autoFocus>
              <Search size={18} aria-hidden />
              <Input role="combobox" aria-expanded placeholder={say('switcher_placeholder')} />
              <kbd>Esc</kbd>
            </TextField>
            <ListBox className="switcher-list" aria-label={say('rooms')} items={targets} selectionMode="none" onAction={(key) => void choose(String(key))} renderEmptyState={() => <p className="members-none">{say(found.searching ? 'searching' : 'nothing_found')}</p>}>
              {(target: Target) => (
                <ListBoxItem id={target.id} textValue={target.name} className="switcher-item">
                  <Avatar id={target.room?.peer?.id ?? target.id.replace('user:', '')} name={target.name} room={target.room?.kind === 'group'} small />
                  <bdi className="switcher-name">{target.name}</bdi>
                  <bdi className="switcher-more">{target.more}</bdi>
                  {target.room && (target.room.mentions > 0 || target.room.unread > 0) && <span className={target.room.mentions > 0 ? 'badge badge-mention' : target.room.notify === 'none' ? 'badge badge-muted' : 'badge'}>{target.room.mentions || target.room.unread}</span>}
                </ListBoxItem>
              )}
            </ListBox>
          </Autocomplete>
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}

function unreadFirst(one: RoomRow, other: RoomRow): number {
  const waits = (room: RoomRow) => (room.mentions > 0 ? 2 : room.unread > 0 && room.notify !== 'none' ? 1 : 0);
  return waits(other) - waits(one);
}
