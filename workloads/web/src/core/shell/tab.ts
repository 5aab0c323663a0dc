/** One tab's place among the tabs: it follows until it holds the lock, then it leads. */
import type { Notification } from '../interface';
import type { Model } from '../model/model';
import type { News } from '../model/news';
import type { Watch } from '../wire/frames';
import type { Backend } from './backend';
import type { Environment } from './environment';
import { Leader } from './leader';
import { SafeDatabase } from './open_database';
import { CHANNEL, faultOf, LEADER_LOCK, Questions, type Method, type TabMessage } from './tabs';

export class Tab {
  readonly #environment: Environment;
  readonly #server: string;
  readonly #model: Model;
  readonly #id: string;
  readonly #channel: BroadcastChannel | undefined;
  readonly #questions: Questions;
  readonly #endSigns: () => void;
  #leader: Leader | undefined;
  #database: SafeDatabase | undefined;
  #letGo: () => void = () => {};
  #closed = false;
  /** Rooms on screen, by tab. */
  readonly #views = new Map<string, readonly string[]>();
  #watch: Watch = {};
  readonly notifications = new Set<(notification: Notification) => void>();
  readonly reads = new Set<(room: string) => void>();
  /** The state is there, own or the leader's. */
  readonly ready: Promise<void>;
  #isReady: () => void = () => {};
  readonly backend: Backend;

  constructor(environment: Environment, server: string, model: Model) {
    this.#environment = environment;
    this.#server = server;
    this.#model = model;
    this.#id = environment.uuid();
    this.#questions = new Questions(environment.uuid, (id, method, args) => this.#put(id, method, args));
    this.backend = new Proxy({} as Backend, {
      get: (_, method) => (...args: unknown[]) => this.#questions.ask(method as Method, args),
    });
    this.ready = new Promise((resolve) => (this.#isReady = resolve));
    this.#channel = environment.channel(CHANNEL);
    if (this.#channel) this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => this.#hear(data);
    this.#endSigns = environment.onSigns((sign) => this.#sign(sign));
    this.#post({ type: 'hello', from: this.#id });
    void this.#waitToLead();
  }

  get isLeader(): boolean {
    return this.#leader !== undefined;
  }

  /** Everything this tab looks at. */
  look(watch: Watch, views: readonly string[]): void {
    this.#watch = watch;
    this.#views.set(this.#id, views);
    this.#post({ type: 'views', from: this.#id, rooms: views });
    void this.backend.watch(this.#id, watch);
  }

  /** Write transactions so far, of the leader; for the budget. */
  get transactions(): number {
    return this.#database?.transactions ?? 0;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#endSigns();
    this.#post({ type: 'bye', from: this.#id });
    await this.#leader?.stop();
    this.#database?.close();
    this.#letGo();
    this.#channel?.close();
  }

  async #waitToLead(): Promise<void> {
    const { locks } = this.#environment;
    if (!locks) return this.#lead();
    await locks.request(LEADER_LOCK, async () => {
      if (this.#closed) return;
      const held = new Promise<void>((resolve) => (this.#letGo = resolve));
      await this.#lead();
      await held;
    });
  }

  async #lead(): Promise<void> {
    const early: Parameters<Leader['warn']>[0][] = [];
    let leader: Leader | undefined;
    this.#database = await SafeDatabase.open(this.#environment, (code) => (leader ? leader.warn(code) : early.push(code)));
    leader = new Leader({
      environment: this.#environment,
      server: this.#server,
      database: this.#database,
      model: this.#model,
      spread: (news) => this.#post({ type: 'news', news }),
      notify: (notification) => this.notifications.forEach((tell) => tell(notification)),
      readElsewhere: (room) => this.#readElsewhere(room),
      isViewed: (room) => [...this.#views.values()].some((rooms) => rooms.includes(room)),
    });
    await leader.start();
    for (const code of early) leader.warn(code);
    this.#leader = leader;
    this.#post({ type: 'lead', from: this.#id });
    this.#isReady();
    void this.backend.watch(this.#id, this.#watch);
    this.#questions.again();
  }

  #readElsewhere(room: string): void {
    this.reads.forEach((tell) => tell(room));
    this.#post({ type: 'read_elsewhere', room });
  }

  #put(id: string, method: Method, args: readonly unknown[]): void {
    if (this.#leader) void this.#answer(this.#leader, id, method, args, (message) => this.#questions.answered(id, message.result, message.fault));
    else this.#post({ type: 'ask', from: this.#id, id, method, args });
  }

  async #answer(leader: Leader, id: string, method: Method, args: readonly unknown[], tell: (message: Extract<TabMessage, { type: 'answer' }>) => void, to = this.#id): Promise<void> {
    try {
      const ask = leader[method] as (...args: readonly unknown[]) => Promise<unknown>;
      tell({ type: 'answer', to, id, result: await ask.apply(leader, [...args]) });
    } catch (error) {
      tell({ type: 'answer', to, id, fault: faultOf(error) });
    }
  }

  #hear(message: TabMessage): void {
    switch (message.type) {
      case 'hello':
        if (this.#leader) this.#post({ type: 'state', to: message.from, state: this.#model.export() });
        return;
      case 'lead':
        this.#post({ type: 'hello', from: this.#id });
        return;
      case 'state':
        if (message.to === this.#id && !this.#leader) this.#follow(message.state);
        return;
      case 'news':
        if (!this.#leader) this.#take(message.news);
        return;
      case 'ask': {
        const { from, id, method, args } = message;
        if (this.#leader) void this.#answer(this.#leader, id, method, args, (answer) => this.#post(answer), from);
        return;
      }
      case 'answer':
        if (message.to === this.#id) this.#questions.answered(message.id, message.result, message.fault);
        return;
      case 'views':
        this.#views.set(message.from, message.rooms);
        return;
      case 'bye':
        this.#views.delete(message.from);
        void this.#leader?.watch(message.from, {});
        return;
      case 'read_elsewhere':
        this.reads.forEach((tell) => tell(message.room));
        return;
    }
  }

  /** The leader's state is here, and every news from now on follows it. */
  #follow(state: import('../model/news').State): void {
    this.#model.reset({ ...state, status: { ...state.status, leader: false } });
    this.#isReady();
    this.look(this.#watch, this.#views.get(this.#id) ?? []);
    for (const room of this.#model.openedRooms()) {
      void this.backend.open(room).then((opened) => opened && this.#model.apply({ type: 'opened', room, opened }));
    }
    this.#questions.again();
  }

  #take(news: readonly News[]): void {
    for (const one of news) this.#model.apply(one.type === 'status' ? { ...one, status: { ...one.status, leader: false } } : one);
  }

  #sign(sign: 'online' | 'offline' | 'visible' | 'hidden' | 'leaving'): void {
    if (sign === 'leaving') this.#post({ type: 'bye', from: this.#id });
    if (sign === 'visible') void this.backend.reconnect();
    if (!this.#leader) return;
    if (sign === 'online' || sign === 'offline') this.#leader.networkChanged();
    if (sign === 'hidden' || sign === 'leaving') this.#leader.hidden();
  }

  #post(message: TabMessage): void {
    if (this.#channel && !(this.#closed && message.type !== 'bye')) this.#channel.postMessage(message);
  }
}
