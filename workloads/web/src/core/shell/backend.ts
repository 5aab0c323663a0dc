/** What a tab asks of the tab that leads. The leader answers by a call, the others by messages between tabs. */
import type { Draft, Message, Settings } from '../interface';
import type { OpenedRoom } from '../model/news';
import type { Watch } from '../wire/frames';
import type { History } from '../wire/http';
import type { Call } from './http';

export interface Page {
  readonly before?: number;
  readonly after?: number;
  readonly limit: number;
  readonly thread?: number;
}

export interface Backend {
  signIn(user: { username: string; password: string; deviceName: string }): Promise<void>;
  signOut(): Promise<void>;
  call(call: Call): Promise<unknown>;
  /** Answers nothing when we are not in the room. */
  open(room: string): Promise<OpenedRoom | undefined>;
  older(room: string): Promise<void>;
  /** A page of history, shown to all tabs but for those of a thread. */
  page(room: string, page: Page, from: 'below' | 'above'): Promise<History>;
  send(room: string, messageId: string, message: Message): Promise<void>;
  change(room: string, messageId: string, kind: 'edit' | 'delete' | 'reaction', target: number | string, content: Content, mentions?: Message['mentions']): Promise<void>;
  retry(messageId: string): Promise<void>;
  cancel(messageId: string): Promise<void>;
  read(room: string, seq: number): Promise<void>;
  threadRead(room: string, root: number, seq: number): Promise<void>;
  markUnread(room: string): Promise<void>;
  /** Everything this tab looks at now. */
  watch(tab: string, watch: Watch): Promise<void>;
  typing(room: string): Promise<void>;
  entered(room: string): Promise<void>;
  refreshRoom(room: string): Promise<void>;
  refreshMe(): Promise<void>;
  learn(profiles: readonly import('../wire/http').Profile[]): Promise<void>;
  membersRead(room: string, members: readonly import('../wire/http').MemberOut[]): Promise<void>;
  /** `key`: `draftKey` of a room or thread. */
  draft(key: string, draft: Draft): Promise<void>;
  settings(settings: Settings): Promise<void>;
  dismiss(warning: string): Promise<void>;
  reconnect(): Promise<void>;
}

export type Content = { readonly [name: string]: unknown };
