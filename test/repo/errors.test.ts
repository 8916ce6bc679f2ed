import { readFile } from 'node:fs/promises'

import { expect, test } from 'vitest'

import { AppError, ERRORS, EXIT, type ErrorCode } from '#model/errors.ts'
import { EXIT_MEANING } from '#model/exit.ts'

const RETRY = {
  never: 'no',
  later: 'yes, by itself or by the same command',
  'after-fix': 'after somebody mended it',
} as const

/** The page of the errors, as the registry says. */
function errorsPage(): string {
  const codes = (Object.keys(ERRORS) as ErrorCode[]).toSorted()
  return [
    '# Errors',
    '',
    'Every error has a code that does not change, a message of the moment, and a next step. The command line prints them;',
    'with `--json` they stand in `error`. This page is made from `src/model/errors.ts`:',
    '`npx vitest run test/repo/errors.test.ts -u` writes it anew.',
    '',
    '## Exit codes',
    '',
    '| code | meaning |',
    '|---|---|',
    ...Object.entries(EXIT).map(([name, code]) => `| ${code} | ${EXIT_MEANING[name as keyof typeof EXIT]} |`),
    '',
    '## Codes',
    ...codes.flatMap((code) => {
      const { cause, hint, retry, exit } = ERRORS[code]
      const { status } = new AppError(code, '')
      return [
        '',
        `### ${code}`,
        '',
        cause,
        '',
        `- Next step: ${hint}`,
        `- Worth another try: ${RETRY[retry]}`,
        `- Exit code: ${exit}, HTTP status: ${status}`,
      ]
    }),
    '',
  ].join('\n')
}

test('docs/errors.md says what the registry says', async () => {
  await expect(errorsPage()).toMatchFileSnapshot('../../docs/errors.md')
})

test('every flag that a hint names is a flag of the command line', async () => {
  const sources = await Promise.all(
    ['sync-options.ts', 'command.ts', 'service-flags.ts', 'commands/sync.ts', 'commands/import.ts'].map((file) =>
      readFile(`src/cli/${file}`, 'utf8'),
    ),
  )
  const known = new Set(sources.join('\n').match(/--[a-z][a-z-]+/g))
  const named = Object.values(ERRORS).flatMap(({ hint }) => hint.match(/--[a-z][a-z-]+/g) ?? [])
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter((flag) => flag !== '--help' && !known.has(flag))).toEqual([])
})
