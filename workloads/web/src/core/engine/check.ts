import { needsTarget, type Draft } from '../wire/entry';
import type { Refusal } from './outbox';

/** Bounds of the wire contract, in bytes of JSON, of UTF-8, in users. */
const CONTENT_BYTES = 32 * 1024;
const EMOJI_BYTES = 64;
const MENTIONS = 100;

const SERVERS_OWN = new Set(['member_joined', 'member_left', 'role_changed', 'room_changed', 'to_device', 'friend_changed', 'preferences_changed', 'device_list_changed']);

/** Why this draft would be refused for good by any server; undefined: it may be sent. */
export function checkDraft(draft: Draft): Refusal | undefined {
  if (SERVERS_OWN.has(draft.kind)) return no('not_allowed', `entries of kind ${draft.kind} are written by the server`);
  if (!/^[A-Za-z0-9_.-]{1,64}$/.test(draft.kind)) return no('validation_failed', "kind has 1 to 64 letters, digits, '_', '.' or '-'");
  if ((draft.mentions?.users?.length ?? 0) > MENTIONS) return no('validation_failed', `mentions names at most ${MENTIONS} users`);
  if (needsTarget(draft.kind) !== (draft.target !== undefined)) {
    return no('validation_failed', 'edit, delete and reaction name the seq they change in target; nothing else does');
  }
  if ([draft.reply_to, draft.thread, draft.target].includes(0)) return no('target_not_found', 'seqs start at 1');
  return checkContent(draft);
}

function checkContent({ kind, content }: Draft): Refusal | undefined {
  if (bytes(JSON.stringify(content)) > CONTENT_BYTES) return no('content_too_large', `content has at most ${CONTENT_BYTES} bytes`);
  if (kind === 'text' || kind === 'edit') {
    const text = content['text'];
    if (typeof text !== 'string') return no('content_invalid', 'the content of text and edit is {"text": STRING}');
    if (text === '') return no('content_invalid', 'text is empty');
  }
  if (kind === 'reaction') {
    const { emoji, on } = content;
    if (typeof emoji !== 'string' || typeof on !== 'boolean') {
      return no('content_invalid', 'the content of reaction is {"emoji": STRING, "on": true or false}');
    }
    if (emoji === '' || bytes(emoji) > EMOJI_BYTES) return no('content_invalid', 'emoji has 1 to 64 bytes');
  }
  return undefined;
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

function no(code: string, detail: string): Refusal {
  return { code, detail, retryable: false };
}
