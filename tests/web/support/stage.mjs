/** The tests of one file: one server, one browser, and for each test people of its own. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Account } from './account.mjs';
import { launch } from './chromium.mjs';
import { Person } from './person.mjs';
import { Server } from './server.mjs';
import { Wire } from './wire.mjs';

/** Makes names that no other test of the file has. */
let tests = 0;

class Scene {
  #stage;
  #number = (tests += 1);
  people = [];
  #wires = [];

  constructor(stage) {
    this.#stage = stage;
  }

  get server() {
    return this.#stage.server;
  }

  get browser() {
    return this.#stage.browser;
  }

  /** This word, made unique: a user's or a room's name. */
  name(word) {
    return `${word}-${String(this.#number).padStart(2, '0')}`;
  }

  /** A user name that is part of no display name, in no case: texts are found without regard to it. */
  #username(name) {
    return this.name(name).toLowerCase().replace('-', '_');
  }

  /** Somebody with a browser who is nobody here yet. `wire`: what stands between them and the server; true: one of their own. */
  async stranger(name, { wire, displayName, ...options } = {}) {
    if (wire === true) wire = await this.wire();
    const username = this.#username(name);
    const address = wire ? wire.address : this.server.address;
    const person = await Person.open(this.browser, address, username, displayName ?? this.name(name), options);
    person.wire = wire;
    this.people.push(person);
    return person;
  }

  /** Somebody with a browser who has just signed up. */
  async person(name, options) {
    return (await this.stranger(name, options)).signUp();
  }

  /** Another device of somebody. */
  async device(person, options = {}) {
    const { wire, ...more } = options;
    const other = await Person.open(this.browser, wire ? wire.address : this.server.address, person.username, person.displayName, more);
    other.wire = wire;
    this.people.push(other);
    await other.signIn();
    return other.isIn();
  }

  /** A user without a browser. */
  account(name, displayName = this.name(name)) {
    return Account.open(this.server, this.#username(name), displayName);
  }

  /** The same user as a person, without a browser. */
  accountOf(person) {
    return Account.open(this.server, person.username, person.displayName, { isNew: false });
  }

  async wire() {
    const wire = await Wire.to(this.server);
    this.#wires.push(wire);
    return wire;
  }

  async picture(title) {
    const folder = process.env.KLATCH_SHOTS;
    if (!folder) return;
    fs.mkdirSync(folder, { recursive: true });
    const name = title.replace(/[^a-z0-9]+/gi, '-').slice(0, 60);
    for (const [index, person] of this.people.entries()) {
      await person.page.screenshot({ path: path.join(folder, `${name}-${index}-${person.username}.png`), timeout: 5_000 }).catch(() => undefined);
    }
  }

  async close() {
    await Promise.all(this.people.map((person) => person.context.close().catch(() => undefined)));
    await Promise.all(this.#wires.map((wire) => wire.close()));
  }
}

/**
 * Declares a file's server and answers how its tests are declared. A test fails also when a page complained: an error, a
 * breach of the content policy, a request to another host. `options.flags`: of Chromium; the rest is the server's.
 */
export function stage(options = {}) {
  const it = {};
  before(async () => {
    it.server = await Server.start(options);
    it.browser = await launch(options.flags);
  });
  after(async () => {
    await it.browser?.close();
    await it.server?.stop();
  });
  return (name, run) =>
    test(name, async () => {
      const scene = new Scene(it);
      try {
        await run(scene);
        assert.deepEqual(scene.people.flatMap((person) => person.complaints), []);
      } catch (error) {
        await scene.picture(name);
        throw error;
      } finally {
        await scene.close();
      }
    });
}
