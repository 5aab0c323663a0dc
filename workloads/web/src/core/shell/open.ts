import type { Client } from '../interface';
import { Model } from '../model/model';
import { clientOf } from './client';
import { browser, type Environment } from './environment';
import { Tab } from './tab';

export interface ClientOptions {
  /** Where the API is; the page's own origin by default. */
  readonly server?: string;
  /** For tests. */
  readonly environment?: Environment;
}

/** Another tab may lead and sleep: views are shown after this, ms, and say "loading". */
const PATIENCE_MS = 2_000;

/** The client of this tab. It answers as soon as there is something to show: what this device keeps, or the sign-in. */
export async function openClient(options: ClientOptions = {}): Promise<Client> {
  const environment = options.environment ?? browser();
  const server = options.server ?? location.origin;
  const model = new Model(environment.now);
  const tab = new Tab(environment, server, model);
  const client = clientOf(model, tab, environment);
  const patience = new Promise<void>((resolve) => environment.setTimer(resolve, PATIENCE_MS));
  await Promise.race([tab.ready, patience]);
  return client;
}
