/** Names, Markdown and links made to do harm change nothing and run nothing. */
import assert from 'node:assert/strict';
import { stage } from './support/stage.mjs';

const test = stage();

const RUN = "globalThis.ran=(globalThis.ran||0)+1";
const TEXTS = [
  `<script>${RUN}</script>`,
  `<img src=x onerror="${RUN}">`,
  `<svg onload="${RUN}"><script>${RUN}</script></svg>`,
  `<svg xmlns="http://www.w3.org/2000/svg"><a href="javascript:${RUN}"><text>press</text></a></svg>`,
  `<iframe srcdoc="<script>parent.${RUN}</script>"></iframe>`,
  `<style>*{display:none}</style><link rel=stylesheet href=//evil.example/x.css>`,
  `[press](javascript:${RUN})`,
  `[press](JaVaScRiPt:${RUN})`,
  `[press](java\tscript:${RUN})`,
  `[press](data:text/html,<script>${RUN}</script>)`,
  `[press](vbscript:${RUN})`,
  `![picture](https://evil.example/track.png)`,
  `[https://bank.example](https://evil.example/)`,
  `https://evil.example/"onmouseover="${RUN}`,
  `\`\`\`"><script>${RUN}</script>\ncode\n\`\`\``,
  `{{constructor.constructor("${RUN}")()}} \${${RUN}}`,
  `\u0000\u0001 control \u001b[31m characters`,
  `__proto__ constructor @__proto__ @constructor`,
];
const OVERRIDE = 'invoice \u202Excod.exe\u202C and \u2066isolate without end';
const WORD = 'w'.repeat(10_000);
/** A name that would be an element. Direction marks in names are refused by the server: see the test. */
const NAME = `<img src=x onerror=${RUN}>`;

/** What in a page would mean that text became something else. Runs in the page. */
function foreign() {
  const found = [...document.querySelectorAll('[data-region="timeline"] :is(script, iframe, object, embed, style, link, img, video, audio, form, base, meta)')].map((one) => one.outerHTML.slice(0, 80));
  for (const element of document.querySelectorAll('*')) {
    for (const { name, value } of element.attributes) if (/^on/i.test(name) || /^\s*(javascript|data|vbscript):/i.test(value)) found.push(`${element.tagName} ${name}=${value.slice(0, 60)}`);
  }
  for (const link of document.querySelectorAll('[data-region="timeline"] a')) if (!/^(https?|mailto):$/.test(link.protocol) || !/noopener/.test(link.rel)) found.push(link.outerHTML);
  return found;
}

async function victim(scene, displayName) {
  const ada = await scene.person('Ada');
  const eve = await scene.account('Eve', displayName);
  const room = await eve.direct(await eve.find(ada.username));
  return { ada, eve, room };
}

async function unharmed(person) {
  assert.equal(await person.page.evaluate(() => globalThis.ran), undefined);
  assert.deepEqual(await person.page.evaluate(foreign), []);
  assert.equal(await person.page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1), false, 'the page scrolls sideways');
}

test('texts with scripts, SVG, styles and bad links stay text', async (scene) => {
  const { ada, eve, room } = await victim(scene);
  for (const text of TEXTS) await eve.write(room, [text]).catch((error) => assert.match(error.message, /content_invalid|validation_failed/));
  const [end] = await eve.write(room, ['the end']);
  await ada.openRoom(eve.displayName);
  await ada.timeline.hover();
  await ada.page.mouse.wheel(0, 100_000);
  await ada.sees('the end');
  await unharmed(ada);
  await ada.sees(`<script>${RUN}</script>`);
  // Every link there is leads where it says.
  assert.match(await ada.message('bank.example').locator('a').textContent(), /\(evil\.example\)/);
  for (const link of await ada.timeline.locator('a').all()) assert.doesNotMatch(await link.getAttribute('href'), /script/i);
  // Quoted in a reply, in the list, in the thread and in a notification's text they stay so.
  await ada.act('the end', 'Reply');
  await ada.write(TEXTS[1]);
  await ada.state(TEXTS[1], 'sent');
  await ada.goto(`#/room/${room}/thread/${end}`);
  await ada.page.locator('[data-region="panel"]').getByText('the end').first().waitFor();
  await unharmed(ada);
});

test('one’s own draft of such texts is as harmless, in the composer and after a reload', async (scene) => {
  const { ada, eve } = await victim(scene);
  await ada.openRoom(eve.displayName);
  for (const text of TEXTS.slice(0, 6)) await ada.write(text);
  await ada.composer.fill(TEXTS[2]);
  await ada.page.reload();
  await ada.sees(TEXTS[0]);
  await unharmed(ada);
});

test('names of people and rooms stay text wherever they stand', async (scene) => {
  const { ada, eve, room } = await victim(scene, NAME);
  await eve.write(room, ['hello']);
  await eve.group(NAME, [await eve.find(ada.username)], 'public');
  await ada.room(NAME).first().waitFor();
  await ada.goto(`#/room/${room}`);
  await ada.sees('hello');
  await ada.page.keyboard.press('Control+k');
  await ada.page.getByRole('combobox').fill(eve.username);
  await ada.page.getByRole('option').first().waitFor();
  await unharmed(ada);
  await ada.page.keyboard.press('Escape');
  for (const fragment of ['#/people', '#/explore']) {
    await ada.goto(fragment);
    if (fragment === '#/people') await ada.page.getByRole('searchbox').fill(eve.username);
    await ada.page.locator('main').getByText(NAME).first().waitFor();
    await unharmed(ada);
  }
  assert.ok(!(await ada.page.title()).includes('undefined'));
});

test('names that would turn the direction of writing, or hide it, are refused with words', async (scene) => {
  const ada = await scene.stranger('Ada', { displayName: 'ada\u202Eevil' });
  await ada.page.goto(`${ada.address}/#/sign-up`);
  await ada.page.getByLabel('Name', { exact: true }).fill(ada.displayName);
  await ada.page.getByLabel('User name').fill(ada.username);
  await ada.page.getByLabel('Password', { exact: true }).fill('correct horse battery staple');
  await ada.page.getByRole('button', { name: 'Create account' }).click();
  await ada.page.locator('.field-error').waitFor();
  assert.equal(await ada.page.getByLabel('Name', { exact: true }).getAttribute('aria-invalid'), 'true');
});

test('direction marks in a message turn nothing outside of it', async (scene) => {
  const { ada, eve, room } = await victim(scene);
  await eve.write(room, [OVERRIDE, 'plain neighbour']);
  await ada.openRoom(eve.displayName);
  await ada.sees('plain neighbour');
  // What stands around the text has a direction of its own: each text is isolated.
  const around = await ada.timeline.evaluate((list) => [...list.querySelectorAll('.markdown, .markdown p, .message-sender')].map((one) => getComputedStyle(one).unicodeBidi));
  assert.ok(around.length > 0 && around.every((one) => /isolate|plaintext/.test(one)), around.join());
  const box = await ada.message('plain neighbour').locator('p').boundingBox();
  const other = await ada.message('invoice').locator('p').boundingBox();
  assert.equal(Math.round(box.x), Math.round(other.x));
  await unharmed(ada);
});

test('a word of 10,000 characters widens nothing, on a desk and on a phone', async (scene) => {
  const { ada, eve, room } = await victim(scene);
  await eve.write(room, [WORD, `\`${WORD}\``, `\`\`\`\n${WORD}\n\`\`\``, `https://example.org/${'p'.repeat(1_500)}`, `> ${WORD}`]);
  for (const viewport of [{ width: 1280, height: 800 }, { width: 360, height: 740 }]) {
    await ada.page.setViewportSize(viewport);
    await ada.goto(`#/room/${room}`);
    await ada.timeline.locator('article').first().waitFor();
    await unharmed(ada);
    await ada.timeline.hover();
    await ada.page.mouse.wheel(0, 200_000);
    await ada.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    await unharmed(ada);
    await ada.goto('#/');
  }
});

test('an address in the page’s fragment leads nowhere else', async (scene) => {
  const { ada } = await victim(scene);
  for (const fragment of [`#/room/<img src=x onerror=${RUN}>`, '#/room/../../etc', `#javascript:${RUN}`, '#/settings/__proto__', '#/room/a/thread/NaN', '#/room/constructor', `#/${'a'.repeat(5_000)}`]) {
    await ada.page.goto(`${ada.address}/${fragment}`);
    await ada.isIn();
    await unharmed(ada);
  }
});
