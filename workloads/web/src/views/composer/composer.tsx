import { useCallback, useEffect, useId, useLayoutEffect, useRef, useState, type KeyboardEvent } from 'react';
import { SendHorizontal } from 'lucide-react';
import type { MessageRow, Seq } from '../../core/interface';
import { useWords } from '../../language/language';
import { announce } from '../announce/announcer';
import { useClient, useReadable } from '../client';
import { IconButton } from '../controls/button';
import { remember } from '../emoji/emoji';
import type { RoomFace } from '../room/face';
import { mentionsIn } from './completion';
import { ComposerContext } from './composer_context';
import { changeDraft, draftFor, startEdit } from './drafts';
import { insert, wrap, type Selection } from './format';
import { OfferList } from './offer_list';
import { usePeople } from './people';
import { Toolbar } from './toolbar';
import { useOffers } from './use_offers';
import './composer.css';

/** Longest text, characters; the server's bound is bytes and refuses in words. */
const TEXT_CHARACTERS = 16_000;
/** A message waits so long, ms, for the people it may mention; without them it goes all the same. */
const PEOPLE_WITHIN_MS = 2_000;

/** Where a message is written. What is in it outlives the room, the page and the network. */
export function Composer({ room, thread, onLeave }: { room: RoomFace; thread?: Seq; onLeave?: () => void }) {
  const client = useClient();
  const say = useWords();
  const settings = useReadable(client.settings);
  const draft = useReadable(draftFor(client, room.id, thread));
  const change = (next: typeof draft) => changeDraft(client, room.id, next, thread);
  const input = useRef<HTMLTextAreaElement>(null);
  const pending = useRef<Selection>(undefined);
  /** Where the last key typed left the caret; -1 once it was moved otherwise: offers come while one writes. */
  const [caret, setCaret] = useState(-1);
  const listId = useId();

  const { people, isLoading } = usePeople(room, draft.text.includes('@'));
  const [isHeld, setHeld] = useState(false);
  const { query, offers, index, choose, dismiss } = useOffers(room, draft.text, caret, people);
  const open = offers.length > 0;

  useLayoutEffect(() => {
    const wanted = pending.current;
    if (!wanted || !input.current) return;
    pending.current = undefined;
    input.current.setSelectionRange(wanted.start, wanted.end);
    setCaret(wanted.end);
  });

  const edit = useCallback(
    (make: (selection: Selection) => Selection) => {
      const element = input.current;
      if (!element) return;
      const now = draftFor(client, room.id, thread).get();
      const next = make({ text: now.text, start: element.selectionStart, end: element.selectionEnd });
      pending.current = next;
      changeDraft(client, room.id, { ...now, text: next.text }, thread);
      element.focus();
    },
    [client, room.id, thread],
  );

  const complete = (offer: number) => {
    const one = offers[offer];
    if (!one || !query) return;
    if (one.kind === 'emoji') remember(one.id);
    edit(({ text, end }) => insert({ text, start: query.start, end }, `${one.text} `));
  };

  const send = (isDue = false) => {
    const text = draft.text.trim();
    // Whoever is mentioned must be known first, or they would not hear of it.
    const isEarly = isLoading && !isDue && text !== '';
    setHeld(isEarly);
    if (!text || isEarly) return;
    const mentions = mentionsIn(text, people, room.kind === 'group');
    // First: the message and the emptied draft are then kept by one transaction.
    change({ text: '' });
    if (draft.editing !== undefined) void client.edit(room.id, draft.editing, text, mentions);
    else {
      void client.send(room.id, {
        text,
        ...(draft.replyTo !== undefined && { replyTo: draft.replyTo }),
        ...(thread !== undefined && { thread }),
        ...(mentions && { mentions }),
      });
      announce(say('announce_sent'));
    }
    input.current?.focus();
  };

  const sendDue = useRef(send);
  useLayoutEffect(() => void (sendDue.current = send));
  useEffect(() => {
    if (!isHeld) return;
    const timer = setTimeout(() => sendDue.current(true), isLoading ? PEOPLE_WITHIN_MS : 0);
    return () => clearTimeout(timer);
  }, [isHeld, isLoading]);

  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.nativeEvent.isComposing) return;
    if (open && onListKey(event, index, offers.length, choose, complete)) return;
    if (event.key === 'Escape') {
      if (open) dismiss();
      else if (draft.editing !== undefined || draft.replyTo !== undefined) change({ text: draft.editing === undefined ? draft.text : '' });
      else if (onLeave) onLeave();
      else return;
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    const command = event.ctrlKey || event.metaKey;
    if (event.key === 'Enter' && !event.shiftKey && !event.altKey && (settings.sendOnEnter || command)) {
      event.preventDefault();
      send();
    } else if (event.key === 'ArrowUp' && draft.text === '' && !command) {
      const last = thread === undefined ? lastOwn(client.timeline(room.id).get(), (row) => row.thread === undefined) : lastOwn(listed(client.thread(room.id, thread).get().rows), () => true);
      if (last) {
        event.preventDefault();
        startEdit(client, room.id, last, thread);
      }
    } else if (command && !event.shiftKey && !event.altKey && (event.key === 'b' || event.key === 'i')) {
      event.preventDefault();
      edit((selection) => wrap(selection, event.key === 'b' ? '**' : '_'));
    }
  };

  const editing = draft.editing !== undefined;
  const label = say(thread === undefined ? 'composer_label' : 'composer_thread', { room: room.title });
  return (
    <section className="composer" data-region={thread === undefined ? 'composer' : 'thread-composer'} aria-label={label}>
      <div className="composer-box">
        <ComposerContext room={room} draft={draft} thread={thread} onCancel={() => change({ text: editing ? '' : draft.text })} />
        {open && <OfferList id={listId} label={say(query?.of === 'emoji' ? 'emoji' : 'mention_people')} offers={offers} index={index} onPick={complete} />}
        <textarea
          ref={input}
          rows={1}
          dir="auto"
          value={draft.text}
          maxLength={TEXT_CHARACTERS}
          placeholder={label}
          aria-label={editing ? say('edit_message') : label}
          aria-autocomplete="list"
          aria-controls={open ? listId : undefined}
          aria-activedescendant={open ? `${listId}-${index}` : undefined}
          enterKeyHint={settings.sendOnEnter ? 'send' : 'enter'}
          spellCheck
          onChange={(event) => {
            change({ ...draft, text: event.target.value });
            setCaret(event.target.selectionStart);
            if (event.target.value !== '') client.typingIn(room.id);
          }}
          onSelect={(event) => event.currentTarget.selectionStart !== caret && setCaret(-1)}
          onKeyDown={onKeyDown}
        />
        <div className="composer-tools">
          <Toolbar onEdit={edit} />
          <IconButton className="composer-send" label={say(editing ? 'save' : 'send')} icon={SendHorizontal} keys={settings.sendOnEnter ? 'Enter' : 'Ctrl+Enter'} disabled={draft.text.trim() === ''} onClick={() => send()} />
        </div>
      </div>
    </section>
  );
}

function onListKey(event: KeyboardEvent, index: number, length: number, choose: (index: number) => void, complete: (index: number) => void): boolean {
  switch (event.key) {
    case 'ArrowDown':
      choose((index + 1) % length);
      break;
    case 'ArrowUp':
      choose((index + length - 1) % length);
      break;
    case 'Enter':
    case 'Tab':
      if (event.shiftKey) return false;
      complete(index);
      break;
    default:
      return false;
  }
  event.preventDefault();
  return true;
}

/** How far back the own last message is looked for, rows. */
const LOOK_BACK = 200;

interface Listed {
  readonly length: number;
  readonly row: (index: number) => { readonly type: string } | undefined;
}

const listed = (rows: readonly MessageRow[]): Listed => ({ length: rows.length, row: (index) => rows[index] });

function lastOwn(timeline: Listed, is: (row: MessageRow) => boolean): MessageRow | undefined {
  for (let index = timeline.length - 1; index >= Math.max(0, timeline.length - LOOK_BACK); index--) {
    const row = timeline.row(index) as MessageRow | undefined;
    if (row?.type === 'message' && row.mine && !row.deleted && row.kind === 'text' && row.seq !== undefined && is(row)) return row;
  }
  return undefined;
}
