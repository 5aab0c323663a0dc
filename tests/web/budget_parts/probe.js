'use strict';

/** Runs in each page before its own code: counts writes to the database, notes when the socket and the keyboard were heard. */
function install() {
  const probe = (globalThis.probe = { writes: 0, heard: [], keys: [], shift: 0, paint: 0 });
  const open = IDBDatabase.prototype.transaction;
  IDBDatabase.prototype.transaction = function (...of) {
    if (of[1] === 'readwrite') probe.writes += 1;
    return open.apply(this, of);
  };
  const listen = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
  Object.defineProperty(WebSocket.prototype, 'onmessage', {
    ...listen,
    set(hear) {
      listen.set.call(this, (event) => {
        const at = performance.now();
        hear.call(this, event);
        // Rows are made in the microtasks and frames that follow: what counts is when the next picture is done.
        if (probe.listening && event.data.includes('"message"')) requestAnimationFrame(() => setTimeout(() => probe.heard.push(performance.now() - at)));
      });
    },
  });
  const observe = (type, take, more = {}) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true, ...more });
  observe('layout-shift', (entry) => entry.hadRecentInput || (probe.shift += entry.value));
  observe('largest-contentful-paint', (entry) => (probe.paint = entry.startTime));
  observe('event', (entry) => ['keydown', 'keypress', 'input', 'beforeinput'].includes(entry.name) && probe.keys.push({ at: entry.startTime, ms: entry.duration }), { durationThreshold: 16 });

  /** A bound for what hangs, ms. */
  const PATIENCE_MS = 20_000;
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const list = () => document.querySelector('.timeline, #bare');
  const rows = () => [...list().querySelectorAll('[data-row]')];
  probe.interactions = new Map();
  // Events of one press have one number; what it cost is the longest of them.
  observe('event', ({ interactionId, duration, name, target }) => {
    const { ms = 0 } = probe.interactions.get(interactionId) ?? {};
    if (interactionId > 0 && duration > ms) probe.interactions.set(interactionId, { ms: duration, name: `${name} on ${target?.getAttribute?.('aria-label')?.slice(0, 24) ?? target?.className ?? '?'}` });
  }, { durationThreshold: 16 });
  Object.assign(probe, {
    painted,
    /** Frame by frame, until it holds. */
    async until(is) {
      const start = performance.now();
      while (!is()) {
        if (performance.now() - start > PATIENCE_MS) throw new Error(`never came: ${is}`);
        await frame();
      }
    },
    mounted: () => rows().length,
    /** How long until `is` holds and was painted, ms. */
    async after(act, is) {
      const start = performance.now();
      act();
      await probe.until(is);
      await painted();
      return performance.now() - start;
    },
    /** Gaps between frames while the list is scrolled by hand, ms. */
    async scroll(step, frames) {
      const gaps = [];
      let last = await frame();
      for (let count = 0; count < frames; count += 1) {
        list().dispatchEvent(new WheelEvent('wheel', { deltaY: step, bubbles: true }));
        list().scrollTop += step;
        const now = await frame();
        gaps.push(now - last);
        last = now;
      }
      return gaps;
    },
    to(share) {
      list().dispatchEvent(new WheelEvent('wheel', { deltaY: -1, bubbles: true }));
      list().scrollTop = (list().scrollHeight - list().clientHeight) * share;
    },
    /** Scrolls near the top so that older rows come; answers how far a row in view was moved by them, px. */
    async older(grow) {
      const height = list().scrollHeight;
      list().dispatchEvent(new WheelEvent('wheel', { deltaY: -1, bubbles: true }));
      list().scrollTop = 700;
      await painted();
      await painted();
      // Rows may have come already while it was scrolled: the anchor is a row as it stands now.
      const top = list().getBoundingClientRect().top;
      const anchor = rows().find((row) => row.getBoundingClientRect().top > top + 40);
      const key = anchor.dataset.row;
      const before = anchor.getBoundingClientRect().top;
      grow?.();
      for (let count = 0; list().scrollHeight <= height && count < 600; count += 1) await frame();
      await painted();
      await painted();
      const now = list().querySelector(`[data-row="${CSS.escape(key)}"]`);
      return { grew: list().scrollHeight - height, moved: now ? Math.abs(now.getBoundingClientRect().top - before) : Infinity };
    },
  });
}

module.exports = { install };
