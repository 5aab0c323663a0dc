/** Somebody in a browser of their own, who uses the page the way people do. Names of things are those of the English page. */
import { PATIENCE_MS } from './chromium.mjs';
import { PASSWORD } from './account.mjs';

/** What a browser says by itself when a network is cut off: no fault of the page. */
const NETWORK = /Failed to load resource|WebSocket connection to|net::ERR_|ERR_INTERNET_DISCONNECTED/;

export class Person {
  /** What went wrong in the page that no test asked for. */
  complaints = [];
  /** Hosts beside its own that the page may load from. */
  allowed = new Set();

  constructor(context, page, address, username, displayName) {
    Object.assign(this, { context, page, address, username, displayName });
    this.#watch(page);
  }

  /** `init`: runs in every page before the page's own code. The rest are options of the browser's context. */
  static async open(browser, address, username, displayName, { init, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    if (init) await context.addInitScript(init);
    return new Person(context, await context.newPage(), address, username, displayName);
  }

  #watch(page) {
    page.on('pageerror', (error) => this.complaints.push(`error: ${error.message}`));
    page.on('console', (line) => line.type() === 'error' && !NETWORK.test(line.text()) && this.complaints.push(`console: ${line.text()}`));
    page.on('dialog', (dialog) => {
      this.complaints.push(`a dialog opened: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (/^https?:$/.test(protocol) && origin !== this.address && !this.allowed.has(origin)) this.complaints.push(`a request to another host: ${request.url()}`);
    });
  }

  /** A second tab of the same browser. */
  async tab(fragment = '#/') {
    const other = new Person(this.context, await this.context.newPage(), this.address, this.username, this.displayName);
    other.complaints = this.complaints;
    await other.page.goto(`${this.address}/${fragment}`);
    return other;
  }

  /* ---- account ---- */

  async signUp() {
    await this.page.goto(`${this.address}/`);
    await this.page.getByRole('link', { name: 'Create account' }).click();
    await this.page.getByLabel('Name', { exact: true }).fill(this.displayName);
    await this.page.getByLabel('User name').fill(this.username);
    await this.page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await this.page.getByRole('button', { name: 'Create account' }).click();
    await this.isIn();
    return this;
  }

  async signIn(password = PASSWORD) {
    await this.page.goto(`${this.address}/`);
    await this.page.getByLabel('User name').fill(this.username);
    await this.page.getByLabel('Password', { exact: true }).fill(password);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    return this;
  }

  async isIn() {
    await this.page.getByRole('button', { name: 'Your menu' }).waitFor();
    return this;
  }

  /** Connected and caught up: nothing says otherwise, and the shell is kept for the next start. */
  async isInstalled() {
    await this.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  }

  /** The network is gone, for what is open as well: the browser's own switch leaves WebSockets alone. Wants a wire. */
  async goOffline() {
    await this.context.setOffline(true);
    this.wire.isDown = true;
    this.wire.cut();
  }

  async goOnline() {
    this.wire.isDown = false;
    await this.context.setOffline(false);
  }

  /* ---- rooms ---- */

  room(title) {
    return this.page.locator('a[data-room]', { hasText: title });
  }

  async openRoom(title) {
    await this.room(title).click();
    await this.page.getByRole('heading', { level: 1, name: title }).waitFor();
    return this;
  }

  async chatWith(other) {
    await this.page.getByRole('button', { name: 'New chat' }).first().click();
    await this.page.getByRole('searchbox', { name: 'Find people by name' }).fill(other.username);
    await this.page.getByRole('option', { name: other.displayName }).click();
    await this.page.getByRole('button', { name: 'Start chat' }).click();
    await this.page.getByRole('heading', { level: 1, name: other.displayName }).waitFor();
    return this;
  }

  async createGroup(name, others = [], { visibility } = {}) {
    await this.page.getByRole('button', { name: 'New chat' }).first().click();
    await this.page.getByRole('button', { name: 'Group', exact: true }).click();
    await this.page.getByLabel('Name of the room').fill(name);
    if (visibility) await this.page.getByRole('radio', { name: visibility }).check();
    for (const other of others) {
      await this.page.getByRole('searchbox', { name: 'Find people by name' }).fill(other.username);
      await this.page.getByRole('option', { name: other.displayName }).click();
    }
    await this.page.getByRole('button', { name: 'Create room' }).click();
    await this.page.getByRole('heading', { level: 1, name }).waitFor();
    return this;
  }

  /** Of the open room. */
  async roomMenu(entry) {
    await this.page.getByRole('button', { name: 'Room menu' }).click();
    await this.page.getByRole('menuitem', { name: entry }).click();
  }

  roomId() {
    return new URL(this.page.url()).hash.split('/')[2];
  }

  async goto(fragment) {
    await this.page.evaluate((hash) => (location.hash = hash), fragment);
  }

  /* ---- messages ---- */

  get composer() {
    return this.page.locator('[data-region="composer"] textarea');
  }

  get timeline() {
    return this.page.locator('[data-region="timeline"]');
  }

  /** The message of the open room that says this. */
  message(text) {
    return this.timeline.locator('article', { hasText: text });
  }

  async write(text) {
    await this.composer.fill(text);
    await this.composer.press('Enter');
    return this;
  }

  async sees(text) {
    await this.message(text).first().waitFor();
    return this;
  }

  async missing(text) {
    await this.message(text).first().waitFor({ state: 'detached' });
    return this;
  }

  /** Puts the pointer on a message, which shows what can be done with it, and presses one of those. */
  async act(text, name) {
    await this.message(text).last().hover();
    await this.message(text).last().getByRole('button', { name, exact: true }).click();
  }

  async menuOf(text, entry) {
    await this.act(text, 'More');
    await this.page.getByRole('menuitem', { name: entry }).click();
  }

  /** Waits until a message shows this state: sending, sent, delivered, read, not sent. */
  async state(text, state) {
    await this.message(text).last().locator(`[title="${state}"]`).waitFor();
    return this;
  }

  /** The texts of all rows as a screen reader hears them, oldest first, from the first to the last: the list is scrolled through. */
  async readAll(pattern) {
    return this.timeline.evaluate(async (scroller, source) => {
      const seen = new Map();
      const take = () => {
        for (const row of scroller.querySelectorAll('article[data-row]')) {
          const found = new RegExp(source).exec(row.getAttribute('aria-label') ?? '')?.[0];
          if (found) seen.set(row.dataset.row, found);
        }
      };
      const frames = (count) => new Promise((resolve) => {
        const next = () => (count-- > 0 ? requestAnimationFrame(next) : resolve());
        next();
      });
      // From the end upwards: rows before come as one gets near them. The list keeps still once its top is reached.
      const found = [];
      for (let still = 0; still < 5; ) {
        take();
        const before = scroller.scrollTop;
        scroller.scrollTop = Math.max(0, before - scroller.clientHeight / 2);
        await frames(4);
        still = scroller.scrollTop === before && before === 0 ? still + 1 : 0;
      }
      take();
      for (let still = 0; still < 5; ) {
        for (const row of scroller.querySelectorAll('article[data-row]')) if (!found.includes(row.dataset.row)) found.push(row.dataset.row);
        take();
        const before = scroller.scrollTop;
        scroller.scrollTop = before + scroller.clientHeight / 2;
        await frames(4);
        still = scroller.scrollTop === before ? still + 1 : 0;
      }
      return found.filter((key) => seen.has(key)).map((key) => seen.get(key));
    }, pattern.source);
  }
}
