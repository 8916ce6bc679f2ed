import { defineConfig } from 'vitest/config'

/** The suffix of a test file says what it needs: nothing, database servers, or the whole program. */
export default defineConfig({
  test: {
    projects: [
      {
        test: { name: 'unit', include: ['{src,test}/**/*.test.ts'], exclude: ['**/*.db.test.ts', '**/*.e2e.test.ts'] },
      },
      {
        test: {
          name: 'db',
          include: ['{src,test}/**/*.db.test.ts'],
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
          globalSetup: ['test/harness/global-setup.ts'],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
    ],
  },
})
