import type { Me, Presence, Profile } from '../interface';
import type { PresenceFrame } from '../wire/frames';
import type { Me as WireMe, Profile as WireProfile } from '../wire/http';
import { Cell, Cells, type Batch } from './cell';

const profiles = new WeakMap<WireProfile, Profile>();

/** The same object for the same profile, so that what shows it is not drawn again. */
export function profileOf(wire: WireProfile): Profile {
  const made = profiles.get(wire);
  if (made) return made;
  const { id, username, display_name, avatar, status } = wire;
  const profile: Profile = { id, username, displayName: display_name, ...(avatar !== undefined && { avatar }), ...(status && { status }) };
  profiles.set(wire, profile);
  return profile;
}

export function meOf(wire: WireMe): Me {
  const { email, read_receipts, do_not_disturb_until } = wire;
  return {
    ...profileOf(wire),
    ...(email !== undefined && { email }),
    readReceipts: read_receipts,
    ...(do_not_disturb_until !== undefined && { doNotDisturbUntil: do_not_disturb_until }),
  };
}

/** How long a user types after the last signal of it, ms: two of its pace. */
const TYPING_MS = 6_000;
/** Profiles held; the oldest are asked for again. */
const PROFILES = 5_000;

const UNKNOWN: Presence = { status: 'unknown' };
const NOBODY: readonly string[] = [];

/** Profiles, presence, and who types where. */
export class People {
  readonly #profiles = new Map<string, Profile>();
  readonly #wire = new Map<string, WireProfile>();
  /** Who is only remembered. */
  readonly #old = new Set<string>();
  readonly #presence = new Map<string, Presence>();
  /** By room, by user: until when. */
  readonly #typing = new Map<string, Map<string, number>>();
  readonly profile: Cells<Profile | undefined>;
  readonly presence: Cells<Presence>;
  readonly typing: Cells<readonly string[]>;

  constructor(batch: Batch) {
    this.profile = new Cells((user) => new Cell(batch, () => this.#profiles.get(user)));
    this.presence = new Cells((user) => new Cell(batch, () => this.#presence.get(user) ?? UNKNOWN));
    this.typing = new Cells((room) => new Cell(batch, () => this.#typers(room)));
  }

  learn(profiles: Iterable<WireProfile>): void {
    for (const wire of profiles) {
      this.#old.delete(wire.id);
      const known = this.#wire.get(wire.id);
      if (known && JSON.stringify(known) === JSON.stringify(wire)) continue;
      this.#wire.set(wire.id, wire);
      this.#profiles.set(wire.id, profileOf(wire));
      this.profile.touch(wire.id);
      if (this.#profiles.size <= PROFILES) continue;
      const [oldest] = this.#profiles.keys();
      if (oldest !== undefined) {
        this.#profiles.delete(oldest);
        this.#wire.delete(oldest);
        this.#old.delete(oldest);
      }
    }
  }

  /** What was learned in an earlier life of the page stands until something newer comes. */
  remember(profiles: Iterable<WireProfile>): void {
    for (const wire of profiles) {
      if (this.#profiles.has(wire.id)) continue;
      this.learn([wire]);
      this.#old.add(wire.id);
    }
  }

  /** False also of who is only remembered: the name may be another by now. */
  knows(user: string): boolean {
    return this.#profiles.has(user) && !this.#old.has(user);
  }

  get(user: string): Profile | undefined {
    return this.#profiles.get(user);
  }

  all(): readonly WireProfile[] {
    return [...this.#wire.values()].filter(({ id }) => !this.#old.has(id));
  }

  old(): readonly WireProfile[] {
    return [...this.#wire.values()].filter(({ id }) => this.#old.has(id));
  }

  takePresence({ user, status, last_active }: PresenceFrame): void {
    this.#presence.set(user, { status, ...(last_active !== undefined && { lastActive: Date.parse(last_active) }) });
    this.presence.touch(user);
  }

  /** The connection is gone: nobody knows. */
  forgetPresence(): void {
    this.#presence.clear();
    this.presence.touchAll();
    this.#typing.clear();
    this.typing.touchAll();
  }

  /** `on` false: a message of theirs came, or they stopped. */
  takeTyping(room: string, user: string, on: boolean, now: number): void {
    const typers = this.#typing.get(room) ?? new Map<string, number>();
    const was = typers.delete(user);
    if (on) typers.set(user, now + TYPING_MS);
    else if (!was) return;
    this.#typing.set(room, typers);
    this.typing.touch(room);
  }

  /** Lets go who has stopped. Answers when to look again. */
  expireTyping(now: number): number | undefined {
    let next: number | undefined;
    for (const [room, typers] of this.#typing) {
      for (const [user, until] of typers) {
        if (until <= now) {
          typers.delete(user);
          this.typing.touch(room);
        } else {
          next = Math.min(next ?? until, until);
        }
      }
      if (typers.size === 0) this.#typing.delete(room);
    }
    return next;
  }

  clear(): void {
    this.#profiles.clear();
    this.#wire.clear();
    this.#old.clear();
    this.profile.touchAll();
    this.forgetPresence();
  }

  #typers(room: string): readonly string[] {
    const typers = this.#typing.get(room);
    return typers && typers.size > 0 ? [...typers.keys()].reverse() : NOBODY;
  }
}
