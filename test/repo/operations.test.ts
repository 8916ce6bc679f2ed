import { readFile } from 'node:fs/promises'

import { expect, test } from 'vitest'

import { DEFAULT_LIMITS } from '#api/tools.ts'
import { EXIT } from '#model/errors.ts'
import { EXIT_MEANING } from '#model/exit.ts'
import { JOB_EVENTS, JOB_STATUSES, STATUS_MEANING, TRANSITIONS } from '#model/job.ts'
import { SETTINGS } from '#service/config.ts'
import { createApi } from '#test/harness/api.ts'

const PAGE = new URL('../../docs/operations.md', import.meta.url)

/** Settings that let the service be reached from other machines, in the order of use. */
const EXPOSING = ['behindProxy', 'hosts', 'trustedProxies', 'corsOrigins', 'publicDocs'] as const

/** The parts of the page that restate what the code says. */
async function generatedParts(): Promise<Readonly<Record<string, readonly string[]>>> {
  return {
    'settings of the network': EXPOSING.map((key) => `- \`${SETTINGS[key].name}\`: ${SETTINGS[key].help}`),
    'states of a job': [
      '| state | what it means | what can follow |',
      '|---|---|---|',
      ...JOB_STATUSES.map((status) => `| \`${status}\` | ${STATUS_MEANING[status]} | ${followers(status)} |`),
    ],
    'health paths': ['| path | who may ask | what |', '|---|---|---|', ...(await healthRows())],
    'limits of the API': [
      `An address may send ${DEFAULT_LIMITS.requestsPerMinute} requests a minute, ${DEFAULT_LIMITS.connectionTestsPerMinute} of them to each path that tests connections, and hold`,
      `${DEFAULT_LIMITS.connectionsPerAddress} connections; a key may hold ${DEFAULT_LIMITS.streamsPerKey} event streams and sockets open.`,
    ],
    'exit codes': [
      '| code | meaning |',
      '|---|---|',
      ...Object.entries(EXIT).map(([name, code]) => `| ${code} | ${EXIT_MEANING[name as keyof typeof EXIT]} |`),
    ],
  }
}

function followers(status: (typeof JOB_STATUSES)[number]): string {
  const next = new Set(JOB_EVENTS.map((event) => TRANSITIONS[status][event]).filter((one) => one !== null))
  return next.size === 0 ? 'nothing' : [...next].map((one) => `\`${one}\``).join(', ')
}

interface Operation {
  readonly summary: string
  readonly security?: readonly unknown[]
}

async function healthRows(): Promise<readonly string[]> {
  await using api = await createApi('sqlite')
  const { paths } = (await api.send(null, 'GET', '/openapi.json')).json<{
    paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  }>()
  return Object.entries(paths).flatMap(([path, { get }]) => {
    if (get === undefined || !/^\/(api\/v1\/)?(livez|readyz|health|health\/db|status)$/.test(path)) return []
    return [`| \`${path}\` | ${get.security === undefined ? 'any key' : 'everybody'} | ${get.summary} |`]
  })
}

test('docs/operations.md restates settings, states, paths, limits and exit codes as the code has them', async () => {
  const parts = await generatedParts()
  const page = await readFile(PAGE, 'utf8')
  const found: string[] = []
  const fresh = page.replaceAll(
    /(<!-- made from the code: (.+?) -->\n\n).*?(\n\n<!-- end -->)/gs,
    (_, open, name, close) => {
      found.push(String(name))
      return `${open}${(parts[String(name)] ?? ['?']).join('\n')}${close}`
    },
  )
  expect(found.toSorted()).toEqual(Object.keys(parts).toSorted())
  await expect(fresh).toMatchFileSnapshot('../../docs/operations.md')
})

test('every setting that docs/operations.md speaks of exists', async () => {
  const known = Object.values<{ name: string; also?: readonly string[] }>(SETTINGS).flatMap(({ name, also = [] }) => [
    name,
    ...also,
  ])
  const named = (await readFile(PAGE, 'utf8')).matchAll(/`([A-Z][A-Z_]+)(?:=[^`]*)?`/g)
  const unknown = [...named].map(([, name]) => name ?? '').filter((name) => !known.includes(name) && name !== 'SIGTERM')
  expect(unknown).toEqual([])
})
