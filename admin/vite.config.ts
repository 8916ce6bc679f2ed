import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** Where the service listens that the development server passes the API on to. */
const SERVICE = 'http://127.0.0.1:8001'

export default defineConfig({
  plugins: [react()],
  html: {
    // The service puts a nonce of its own into each answer (`src/api/admin-pages.ts`).
    cspNonce: '__CSP_NONCE__',
  },
  build: {
    outDir: '../dist/admin',
    emptyOutDir: true,
    // Nothing is put into the page itself: its policy has no `data:` scripts or fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    port: 5173,
    strictPort: true,
    proxy: {
      '^/(api|docs|openapi.json|health|favicon)': { target: SERVICE, ws: true },
    },
  },
})
