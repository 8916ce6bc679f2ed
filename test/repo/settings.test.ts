import { expect, test } from 'vitest'

import { ConfigPolicies } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'
import { SETTINGS, toConfig } from '#service/config.ts'

interface Shown {
  readonly name: string
  readonly also?: readonly string[]
  readonly group: string
  readonly default: string
  readonly help: string
  readonly secret?: true
}

const settings = Object.values<Shown>(SETTINGS).filter(({ group }) => group !== 'tests')
const groups = [...new Set(settings.map(({ group }) => group))]

/** The page of the settings, as their table says. */
function settingsPage(): string {
  return [
    '# Settings',
    '',
    'The service reads them from the environment and from a file `.env` in its working directory; the environment wins.',
    '`syncline settings` shows what it has read. This page and `.env.example` are made from `src/service/config.ts`:',
    '`npx vitest run test/repo/settings.test.ts -u` writes them anew.',
    '',
    '`DATASOURCE_<NAME>_URL` declares a read-only datasource; `DATASOURCE_<NAME>_ENVIRONMENT` says what it is.',
    'Where the URL is that of a Supabase project, `DATASOURCE_<NAME>_SERVICE_ROLE_KEY` holds its key.',
    ...groups.flatMap((group) => [
      '',
      `## ${group}`,
      '',
      '| name | default | what it is |',
      '|---|---|---|',
      ...settings
        .filter((setting) => setting.group === group)
        .map(({ name, also = [], default: value, help }) => {
          const names = [name, ...also].map((each) => `\`${each}\``).join(', ')
          return `| ${names} | ${value === '' ? '–' : `\`${value}\``} | ${help.replaceAll('|', '\\|')} |`
        }),
    ]),
    '',
  ].join('\n')
}

function exampleFile(): string {
  return [
    '# Settings of the service. What is commented out has the value that it has by default.',
    ...groups.flatMap((group) => [
      '',
      `# --- ${group} ---`,
      ...settings
        .filter((setting) => setting.group === group)
        .flatMap(({ name, default: value, help }) => ['', `# ${help}`, `# ${name}=${value}`]),
    ]),
    '',
  ].join('\n')
}

test('docs/settings.md and .env.example say what the table of settings says', async () => {
  await expect(settingsPage()).toMatchFileSnapshot('../../docs/settings.md')
  await expect(exampleFile()).toMatchFileSnapshot('../../.env.example')
})

test('no setting has a secret for a default, and no name is taken twice', () => {
  expect(settings.filter((setting) => setting.secret && setting.default !== '')).toEqual([])
  const names = settings.flatMap(({ name, also = [] }) => [name, ...also])
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
})

test('each setting that cannot be read is refused by name, without the value of a secret', () => {
  const wrong = {
    PORT: 'many',
    API_PORT: '70000',
    LOG_LEVEL: 'loud',
    SYNCLINE_BEHIND_PROXY: 'perhaps',
    PROTECTED_ENVIRONMENTS: 'production,moon',
    CORS_ORIGINS: 'https://example.org/path',
    VAULT_ADDR: 'vault',
    MAX_JOBS: '0',
    REDIS_URL: 'http://:secret@h',
    STAGING_MAX_BYTES: '2 GB',
  }
  for (const [name, value] of Object.entries(wrong)) {
    const refusal = (() => {
      try {
        return toConfig({ [name]: value })
      } catch (error) {
        return error
      }
    })()
    expect(refusal).toBeInstanceOf(AppError)
    expect(refusal).toMatchObject({
      code: 'invalid_setting',
      message: expect.stringContaining(`${name} takes `) as string,
    })
  }
})

test('of the URL of a Redis all but the password may be shown', () => {
  expect(SETTINGS.redisUrl.show?.('rediss://me:secret@h:6380/2')).toBe('rediss://me@h:6380/2')
})

test('names of elsewhere are taken, and the own name wins', () => {
  expect(toConfig({ API_PORT: '8002' }).port).toBe(8002)
  expect(toConfig({ API_PORT: '8002', PORT: '8003' }).port).toBe(8003)
  expect(toConfig({ LOG_LEVEL: 'INFO' }).logLevel).toBe('info')
  expect(toConfig({ DB_PATH: '/app/data/sync-config.db' }).store).toEqual({ file: '/app/data/sync-config.db' })
  expect(toConfig({ DATABASE_URL: 'sqlite:////srv/config.db' }).store).toEqual({ file: '/srv/config.db' })
})

test('a DATABASE_URL of another program is not taken for the store', () => {
  const url = 'postgres://app:secret@db/app'
  expect(toConfig({ DATABASE_URL: url }).store).toHaveProperty('file')
  expect(toConfig({ DATABASE_URL: url, CONTROL_STORE: 'postgres' }).store).toEqual({ url })
  expect(toConfig({ SYNCLINE_DATABASE_URL: url }).store).toEqual({ url })
})

test('every policy of a sync config is described', () => {
  for (const [name, field] of Object.entries(ConfigPolicies.shape)) {
    expect(field.description ?? '', name).not.toBe('')
  }
})
