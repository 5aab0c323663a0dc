import react from '@vitejs/plugin-react';
import { VitePWA } from 'vite-plugin-pwa';
import { defineConfig } from 'vitest/config';

/** The server a developer's page talks to. */
const server = process.env['KLATCH_SERVER'] ?? 'http://127.0.0.1:8480';

export default defineConfig({
  plugins: [
    react(),
    VitePWA({
      // A new version waits for the user's word: never a reload under a draft.
      registerType: 'prompt',
      injectRegister: null,
      includeAssets: ['icon.svg', 'icon-192.png'],
      manifest: {
        name: 'Klatch',
        short_name: 'Klatch',
        description: 'Chat that works offline',
        start_url: '/',
        scope: '/',
        display: 'standalone',
        id: '/',
        theme_color: '#0b6b61',
        background_color: '#f4f5f2',
        icons: [
          { src: '/icon.svg', sizes: 'any', type: 'image/svg+xml', purpose: 'any' },
          { src: '/icon-192.png', sizes: '192x192', type: 'image/png', purpose: 'any' },
          { src: '/icon-512.png', sizes: '512x512', type: 'image/png', purpose: 'any' },
          { src: '/icon-maskable-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
        ],
      },
      workbox: {
        globPatterns: ['**/*.{html,js,css,svg,woff2}'],
        navigateFallback: '/index.html',
        navigateFallbackDenylist: [/^\/v1\//, /^\/\.well-known\//, /^\/(healthz|readyz|metrics)$/],
        cleanupOutdatedCaches: true,
        // The first visit's page too: it may stay open for days, and is to be offered new versions like any other.
        clientsClaim: true,
        // No importScripts: Trusted Types would refuse it.
        inlineWorkboxRuntime: true,
        // A server that names another place for the assets changes the page: by this mark it finds the page's revision.
        manifestTransforms: [(entries) => ({ manifest: entries.map((one) => (one.url === 'index.html' ? { ...one, revision: `page-${one.revision}` } : one)) })],
      },
    }),
  ],
  // Chunks find each other beside themselves: a server that changes the addresses in index.html moves all to a CDN (web.assetsBaseURL).
  experimental: { renderBuiltUrl: (_name, { hostType }) => (hostType === 'html' ? undefined : { relative: true }) },
  build: { target: 'es2022', sourcemap: false, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '/v1': { target: server, ws: true } } },
  test: { include: ['test/**/*.test.ts'], environment: 'node', testTimeout: 60_000 },
});
