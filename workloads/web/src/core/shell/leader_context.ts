import type { Model } from '../model/model';
import type { News } from '../model/news';
import type { Authority } from './authority';
import type { Database } from './database';
import type { Driver } from './driver';
import type { Environment } from './environment';

/** What the parts of the leading tab share. */
export interface LeaderContext {
  readonly environment: Environment;
  readonly model: Model;
  readonly authority: Authority;
  readonly database: Database;
  /** None while nobody is signed in. */
  readonly driver: () => Driver | undefined;
  /** To all tabs, this one first. */
  readonly tell: (...news: readonly News[]) => void;
  /** Writes what has gathered. */
  readonly flush: () => Promise<void>;
  /** Server time minus this device's, ms. */
  readonly clockOffset: () => number;
}
