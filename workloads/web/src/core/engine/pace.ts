import { BURST_SECONDS } from './settings';

/** How fast messages may leave: the generic cell rate algorithm (ITU-T I.371) on the pace `welcome` announces. Milliseconds. */
export class Pace {
  /** Per send; 0: no limit. */
  #interval = 0;
  #emptyAt = 0;

  set(perSecond: number): void {
    this.#interval = perSecond > 0 ? 1_000 / perSecond : 0;
  }

  /** When the next send may leave; in the past: now. */
  readyAt(): number {
    return Math.ceil(this.#emptyAt - BURST_SECONDS * 1_000);
  }

  sent(now: number): void {
    this.#emptyAt = Math.max(this.#emptyAt, now) + this.#interval;
  }
}
