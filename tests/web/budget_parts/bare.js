'use strict';
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const MB = 1_000_000;

/** The same list library with nothing of ours: to tell what this machine can do today. */
module.exports = async function bare(world, report) {
  const files = await build(world);
  const server = http.createServer((request, response) => {
    const name = request.url === '/' ? 'index.html' : path.basename(request.url);
    const body = files.get(name);
    response.writeHead(body ? 200 : 404, { 'content-type': name.endsWith('.html') ? 'text/html' : 'text/javascript' });
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const page = await world.page();
    await page.goto(`http://localhost:${server.address().port}/`);
    await page.getByText('line 100000.').waitFor();
    report.note('bare list: heap', `${((await page.heap()) / MB).toFixed(1)} MB`, 'beside ours');
    report.note('bare list: rows mounted', String(await page.evaluate(() => probe.mounted())), 'beside ours');
    await page.slow();
    const appended = await page.evaluate(async () => {
      const times = [];
      for (let count = 0; count < 60; count += 1) {
        const start = performance.now();
        bare.append();
        await probe.painted();
        times.push(performance.now() - start);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return times;
    });
    report.time('bare list: append to the picture (4x slower)', appended, 'beside ours');
    const gaps = [];
    for (const share of [0.98, 0.5, 0.01]) {
      await page.evaluate((share) => probe.to(share), share);
      await page.waitForTimeout(300);
      gaps.push(...(await page.evaluate(() => probe.scroll(-240, 60))));
    }
    report.time('bare list: frame while scrolling (4x slower)', gaps, 'beside ours');
    await page.fast();
    const moved = [];
    for (let count = 0; count < 5; count += 1) moved.push((await page.evaluate(() => probe.older(() => bare.prepend()))).moved);
    report.note('bare list: a row in view moves by', `${Math.max(...moved).toFixed(1)} px`, 'beside ours');
    await page.context().close();
  } finally {
    server.close();
  }
};

async function build(world) {
  const { build: make } = await import(pathToFileURL(path.join(world.web, 'node_modules/vite/dist/node/index.js')));
  const react = path.join(world.web, 'node_modules');
  const { output } = await make({
    root: path.join(__dirname, 'bare'),
    configFile: false,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"' },
    oxc: { jsx: { runtime: 'automatic' } },
    resolve: { alias: Object.fromEntries(['react', 'react-dom', 'virtua'].map((name) => [name, fs.realpathSync(path.join(react, name))])) },
    build: { write: false, modulePreload: false, target: 'es2022' },
  });
  return new Map(output.map((one) => [path.basename(one.fileName), one.type === 'chunk' ? one.code : one.source]));
}
