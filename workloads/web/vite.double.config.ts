import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** What the server sends with every page (docs: the wire contract, "Bad input"): the views must work under it. */
const policy = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'", "manifest-src 'self'", "worker-src 'self'",
  "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", 'trusted-types default',
].join('; ');

/** The views on a client in memory, for looking at them and for tests. Never part of a release. */
export default defineConfig({
  root: 'src/views/testing',
  publicDir: '../../../public',
  plugins: [react()],
  build: { target: 'es2022', outDir: process.env['KLATCH_DOUBLE_DIR'] ?? '/tmp/klatch-double', emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  preview: { headers: { 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer' } },
});
