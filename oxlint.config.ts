import { defineConfig, type OxlintConfig } from 'oxlint'

type Override = NonNullable<OxlintConfig['overrides']>[number]

/**
 * The import law: which module may import which, by its public files.
 * A file at a module's root is public; deeper ones are private to the module.
 */
const LAW: Record<string, readonly string[]> = {
  lib: [],
  model: ['#lib/*'],
  adapters: ['#lib/*', '#model/*'],
  sync: [
    '#lib/*',
    '#model/*',
    '#adapters/adapter.ts',
    '#adapters/baseline.ts',
    '#adapters/rows-refused.ts',
    '#adapters/table-ddl.ts',
    '#adapters/table-draft.ts',
    '#adapters/watchdog.ts',
  ],
  dump: [
    '#lib/*',
    '#model/*',
    '#adapters/adapter.ts',
    '#adapters/dump-source.ts',
    '#adapters/restore-target.ts',
    '#sync/journal.ts',
    '#sync/row-pass.ts',
    '#sync/same-database.ts',
  ],
  control: ['#lib/*', '#model/*', '#sync/staging.ts', '#sync/journal.ts', '#sync/change-set.ts', '#sync/history.ts'],
  jobs: ['#lib/*', '#model/*', '#control/*', '#dump/*', '#sync/*', '#adapters/adapter.ts', '#adapters/registry.ts'],
  api: [
    '#lib/*',
    '#model/*',
    '#control/*',
    '#jobs/*',
    '#adapters/adapter.ts',
    '#adapters/registry.ts',
    '#sync/plan.ts',
    '#sync/check-document.ts',
    '#sync/vocabulary.ts',
    '#sync/preview-mapping.ts',
    '#sync/suggest-mapping.ts',
  ],
  cli: ['#lib/*', '#model/*', '#service/*', '#api/client.ts', '#api/contract/*'],
  service: ['#lib/*', '#model/*', '#adapters/*', '#dump/*', '#sync/*', '#control/*', '#jobs/*', '#api/*'],
}

const MODULES = Object.keys(LAW)

const law = Object.entries(LAW).map(([module, allowed]): Override => ({
  files: [`src/${module}/**/*.ts`],
  excludeFiles: ['**/*.test.ts'],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: [
              '#*/**',
              ...allowed.map((pattern) => `!${pattern}`),
              `!#${module}/**`,
              // Another module's private files stay private, whatever the row above allows.
              ...MODULES.filter((other) => other !== module).map((other) => `#${other}/*/**`),
              // … but for those that its row names.
              ...allowed.filter((pattern) => pattern.split('/').length > 2).map((pattern) => `!${pattern}`),
              '../*',
            ],
            message: `${module}/ may import ${allowed.join(', ') || 'nothing of ours'} (see LAW in oxlint.config.ts)`,
          },
        ],
      },
    ],
  },
}))

export default defineConfig({
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'promise', 'node', 'vitest', 'react', 'jsx-a11y'],
  options: { typeAware: true },
  categories: { correctness: 'error' },
  ignorePatterns: ['dist/**', 'coverage/**', 'node_modules/**', 'admin/src/api/types.d.ts'],
  rules: {
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/return-await': ['error', 'error-handling-correctness-only'],
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/no-explicit-any': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/consistent-type-imports': 'error',
    'typescript/prefer-promise-reject-errors': 'error',
    'typescript/restrict-template-expressions': 'off',
    'typescript/unbound-method': 'off',
    'import/no-cycle': 'error',
    'import/no-default-export': 'error',
    'node/no-process-env': 'error',
    'max-params': ['error', { max: 4 }],
    'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
    'max-lines': ['error', { max: 500 }],
    'no-console': 'error',
    eqeqeq: 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    'no-restricted-globals': ['error', { name: 'Date', message: 'Values stay text; take the time from lib/clock.ts.' }],
    'unicorn/no-await-in-promise-methods': 'error',
    'unicorn/prefer-node-protocol': 'error',
    'vitest/no-focused-tests': 'error',
    'vitest/no-disabled-tests': 'error',
    'vitest/consistent-test-it': ['error', { fn: 'test', withinDescribe: 'test' }],
    'vitest/require-mock-type-parameters': 'off',
    'vitest/no-conditional-tests': 'off',
    'vitest/valid-title': 'off',
    // A second argument says what was expected where the values alone do not.
    'vitest/valid-expect': ['error', { maxArgs: 2 }],
  },
  overrides: [
    ...law,
    {
      files: ['src/service/config.ts', 'src/cli/output.ts', 'test/**', 'bench/**'],
      rules: { 'node/no-process-env': 'off' },
    },
    { files: ['src/cli/output.ts', 'test/**', 'bench/**'], rules: { 'no-console': 'off' } },
    { files: ['src/lib/clock.ts', 'test/**', 'bench/**'], rules: { 'no-restricted-globals': 'off' } },
    {
      // Pages in a browser know the API by its description alone, and show times as the browser tells them.
      files: ['admin/src/**'],
      rules: {
        'no-restricted-globals': 'off',
        'no-restricted-imports': [
          'error',
          { patterns: [{ group: ['../*', './*', '!./*.module.css'], message: 'Import by #module/file.ts.' }] },
        ],
        'max-lines-per-function': ['error', { max: 120, skipBlankLines: true, skipComments: true }],
        'react/react-in-jsx-scope': 'off',
        'react/incompatible-library': 'off',
        'jsx-a11y/no-autofocus': 'off',
        'react/exhaustive-deps': 'error',
        'react/rules-of-hooks': 'error',
      },
    },
    { files: ['*.config.ts', 'admin/*.config.ts'], rules: { 'import/no-default-export': 'off' } },
    {
      files: ['**/*.test.ts', 'test/**', 'bench/**'],
      rules: { 'max-lines-per-function': 'off', 'vitest/expect-expect': 'off' },
    },
  ],
})
