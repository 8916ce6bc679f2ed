import { join } from 'node:path'

import { defineConfig } from 'vitest/config'

import { useTemporaryFolder } from './test/harness/temporary-folder.ts'

/** Programs are started a thousand times from the same sources; most of a start is reading these. */
const cache = join(import.meta.dirname, 'node_modules/.cache/syncline-programs')
const env = { NODE_COMPILE_CACHE: cache, ...useTemporaryFolder() }

/** What is waited for may come late on a busy machine; what never comes fails the test all the same. */
const expect = { poll: { timeout: 30_000 } }

/** The suffix of a test file says what it needs: nothing, database servers, or the whole program. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{src,test,admin/src}/**/*.test.ts'],
          exclude: ['**/*.db.test.ts', '**/*.e2e.test.ts'],
          env,
          expect,
          // Servers may be busy beside them.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'db',
          include: ['{src,test}/**/*.db.test.ts'],
          env,
          expect,
          globalSetup: ['test/harness/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['{src,test}/**/*.e2e.test.ts'],
          env,
          expect,
          globalSetup: ['test/harness/global-setup.ts'],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
    ],
  },
})
