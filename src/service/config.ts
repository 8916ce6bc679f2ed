/**
 * What the environment says, read here and nowhere else. One table gives the name, the other names, the default and the
 * help of every setting; `syncline settings`, `.env.example` and docs/operations.md are made from it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import type { StoreLocation } from '#control/store.ts'
import { AppError } from '#model/errors.ts'
import { DEFAULT_RETENTION, MOST_DAYS } from '#model/retention.ts'
import { DUMP_SETTINGS } from './dump-settings.ts'
import {
  BadSetting,
  boolean,
  define,
  environments,
  list,
  maskKey,
  networks,
  oneOf,
  optional,
  optionalUrl,
  origins,
  secret,
  text,
  whole,
  type Setting,
} from './setting.ts'
import { STAGING_SETTINGS } from './staging-settings.ts'

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

export const SETTINGS = {
  dataDirectory: define({
    name: 'SYNCLINE_DATA_DIR',
    group: 'store',
    default: '',
    help: 'Where the service keeps its store and its key file. Default: data in a checkout, else the data directory of the user.',
    read: optional,
  }),
  databaseUrl: define({
    name: 'SYNCLINE_DATABASE_URL',
    group: 'store',
    default: '',
    help: 'A PostgreSQL database for the control store, in place of the SQLite file in the data directory. DATABASE_URL is taken for it where CONTROL_STORE=postgres, or where it begins with sqlite:.',
    secret: true,
    read: secret,
  }),
  storeFile: define({
    name: 'DB_PATH',
    group: 'store',
    default: '',
    help: 'The SQLite file of the control store, where it is not control.sqlite in the data directory.',
    read: optional,
  }),
  secretKey: define({
    name: 'SECRET_KEY',
    group: 'security',
    default: '',
    help: 'The key that encrypts stored passwords: at least 32 random bytes, as base64, hex or text. Default: a key file in the data directory, made at the first start.',
    secret: true,
    read: secret,
  }),
  previousSecretKey: define({
    name: 'SECRET_KEY_PREVIOUS',
    group: 'security',
    default: '',
    help: 'The key before the present one, while passwords are sealed anew (syncline keys rotate-secret).',
    secret: true,
    read: secret,
  }),
  maskKey: define({
    name: 'MASK_KEY',
    group: 'security',
    default: '',
    help: 'The key by which transforms mask and tokenise values: at least 32 random bytes in base64. Keep it: another key gives other masks.',
    secret: true,
    read: maskKey,
  }),
  secretFiles: define({
    name: 'SYNCLINE_SECRET_FILES',
    group: 'security',
    default: '',
    help: 'The directory in which file: references of datasources may lie. Default: such references are refused.',
    read: optional,
  }),
  vaultAddress: define({
    name: 'VAULT_ADDR',
    group: 'security',
    default: '',
    help: 'The HashiCorp Vault that vault: references are looked up in.',
    read: optionalUrl,
  }),
  vaultToken: define({
    name: 'VAULT_TOKEN',
    group: 'security',
    default: '',
    help: 'The token for it.',
    secret: true,
    read: secret,
  }),
  protectedEnvironments: define({
    name: 'PROTECTED_ENVIRONMENTS',
    group: 'security',
    default: 'production,staging',
    help: 'A write to a datasource of one of these needs allow_protected_write.',
    read: environments,
  }),
  webhookNetworks: define({
    name: 'SYNCLINE_WEBHOOK_NETWORKS',
    group: 'security',
    default: '',
    help: 'Addresses and networks such as 10.1.0.0/16, separated by commas, that webhooks may call beside the public ones, also without TLS. Link-local addresses are never called.',
    read: networks,
  }),
  apiKey: define({
    name: 'API_KEY',
    group: 'security',
    default: '',
    help: 'A first admin key, in place of the setup token that serve prints: at least 32 characters.',
    secret: true,
    read: secret,
  }),
  host: define({
    name: 'API_HOST',
    group: 'network',
    default: '127.0.0.1',
    help: 'The address to listen on. Any other than loopback needs SYNCLINE_BEHIND_PROXY.',
    read: text,
  }),
  port: define({
    name: 'PORT',
    also: ['API_PORT'],
    group: 'network',
    default: '8001',
    help: 'The port to listen on.',
    read: whole(0, 65_535),
  }),
  behindProxy: define({
    name: 'SYNCLINE_BEHIND_PROXY',
    group: 'network',
    default: 'false',
    help: 'A proxy in front of the service adds TLS.',
    read: boolean,
  }),
  trustedProxies: define({
    name: 'SYNCLINE_TRUSTED_PROXIES',
    group: 'network',
    default: '',
    help: 'Addresses whose X-Forwarded-For and X-Forwarded-Proto are believed, separated by commas.',
    read: list,
  }),
  hosts: define({
    name: 'SYNCLINE_HOSTS',
    group: 'network',
    default: '',
    help: 'Host names under which the service is reached, beside those of loopback; separated by commas.',
    read: list,
  }),
  corsOrigins: define({
    name: 'CORS_ORIGINS',
    group: 'network',
    default: '',
    help: 'Origins of other sites whose pages may call the API, separated by commas.',
    read: origins,
  }),
  publicDocs: define({
    name: 'SYNCLINE_PUBLIC_DOCS',
    group: 'network',
    default: 'false',
    help: '/docs and /openapi.json need no key either where others can reach the service: on another address than loopback, or behind a proxy.',
    read: boolean,
  }),
  maxPageSize: define({
    name: 'MAX_PAGE_SIZE',
    group: 'network',
    default: '1000',
    help: 'Entries that one page of a list may have.',
    read: whole(1, 1_000),
  }),
  maxJobs: define({
    name: 'MAX_JOBS',
    also: ['SYNC_WORKER_THREADS'],
    group: 'jobs',
    default: '4',
    help: 'Jobs that run at once, each in a process of its own.',
    read: whole(1, 64),
  }),
  leaseSeconds: define({
    name: 'SYNCLINE_LEASE_SECONDS',
    group: 'jobs',
    default: '15',
    help: 'A job whose process has been silent for so long is given to another.',
    read: whole(1, 3_600),
  }),
  jobMemoryMb: define({
    name: 'SYNCLINE_JOB_MEMORY_MB',
    group: 'jobs',
    default: '512',
    help: 'MiB of memory that the process of a job may have resident. One that has more is ended; its job goes on from what is committed once, and then fails.',
    read: whole(1, 1_048_576),
  }),
  jobRetentionDays: define({
    name: 'JOB_RETENTION_DAYS',
    group: 'jobs',
    default: String(DEFAULT_RETENTION.days.jobs),
    help: 'Days that ended jobs are kept. Set, it comes before what is set up by the API.',
    read: whole(1, MOST_DAYS),
  }),
  historyRetentionDays: define({
    name: 'HISTORY_RETENTION_DAYS',
    group: 'jobs',
    default: String(DEFAULT_RETENTION.days.history),
    help: 'Days that it is kept what jobs wrote, row by row. Set, it comes before what is set up by the API.',
    read: whole(1, MOST_DAYS),
  }),
  auditRetentionDays: define({
    name: 'AUDIT_RETENTION_DAYS',
    group: 'jobs',
    default: String(DEFAULT_RETENTION.days.audit),
    help: 'Days that events of the audit log are kept. They go by whole days, and the log says so. Set, it comes before what is set up by the API.',
    read: whole(1, MOST_DAYS),
  }),
  tempDirectory: define({
    name: 'SYNCLINE_TEMP_DIR',
    group: 'jobs',
    default: '',
    help: 'Where a run keeps its change set until it ends; the temporary directory of the system where not set.',
    read: (value) => value || tmpdir(),
  }),
  ...STAGING_SETTINGS,
  ...DUMP_SETTINGS,
  aiUrl: define({
    name: 'AI_URL',
    group: 'suggestions',
    default: '',
    help: 'An endpoint that speaks the chat API of OpenAI, up to /chat/completions, which refines suggestions for mappings. Without TLS only on this machine and its network. With AI_MODEL it comes before what is set up by the API.',
    read: optionalUrl,
  }),
  aiModel: define({
    name: 'AI_MODEL',
    group: 'suggestions',
    default: '',
    help: 'The model to ask there. Without AI_URL and AI_MODEL suggestions are made here alone.',
    read: optional,
  }),
  aiKey: define({
    name: 'AI_API_KEY',
    group: 'suggestions',
    default: '',
    help: 'The key for it.',
    secret: true,
    read: secret,
  }),
  aiSendSamples: define({
    name: 'AI_SEND_SAMPLES',
    group: 'suggestions',
    default: 'false',
    help: 'Also send a few values of each column. By default only names and types of columns are sent.',
    read: boolean,
  }),
  logLevel: define({
    name: 'LOG_LEVEL',
    group: 'logs',
    default: 'info',
    help: `What is logged: ${LOG_LEVELS.join(', ')}.`,
    read: oneOf(LOG_LEVELS),
  }),
  logFile: define({
    name: 'LOG_FILE',
    group: 'logs',
    default: '',
    help: 'A file to append the log to, in place of the standard output.',
    read: optional,
  }),
  envFile: define({
    name: 'SYNCLINE_ENV_FILE',
    group: 'store',
    default: '.env',
    help: 'The file of further settings; the environment wins.',
    read: text,
  }),
  server: define({
    name: 'SYNCLINE_SERVER',
    group: 'command line',
    default: '',
    help: 'The service that commands speak to; without it they use the store of this machine.',
    read: optionalUrl,
  }),
  serverKey: define({
    name: 'SYNCLINE_API_KEY',
    group: 'command line',
    default: '',
    help: 'The key that commands show to it.',
    secret: true,
    read: secret,
  }),
  failpoint: define({
    name: 'FAILPOINT',
    group: 'tests',
    default: '',
    help: 'For tests: NAME:K:kill|stop|throw acts at the K-th pass of a boundary operation.',
    read: optional,
  }),
} as const

type Settings = typeof SETTINGS

type Values = { readonly [K in keyof Settings]: ReturnType<Settings[K]['read']> }

export interface Config extends Omit<Values, 'dataDirectory' | 'databaseUrl' | 'storeFile'> {
  readonly dataDirectory: string
  readonly store: StoreLocation
  /** Names of the settings that somebody gave, and that have not just their default. */
  readonly given: ReadonlySet<string>
  /** `DATASOURCE_<NAME>_…` as they are set, by name. */
  readonly datasources: Readonly<Record<string, string>>
}

type Variables = Readonly<Record<string, string | undefined>>

/**
 * The whole configuration: the environment over a file `.env` in the working directory.
 * @throws AppError `invalid_setting` with the name and what is allowed
 */
export function readConfig(): Config {
  return toConfig(readVariables())
}

/**
 * What a command needs that speaks to databases and to no service: the rest of the environment, and a `.env` that may
 * be of the user's own program, do not concern it.
 */
export function readRunConfig(): Pick<Config, 'tempDirectory' | 'failpoint' | 'maskKey' | 'dumpMaxUnpackedBytes'> {
  const variables = set(process.env)
  return {
    tempDirectory: readSetting(SETTINGS.tempDirectory, variables).value,
    failpoint: readSetting(SETTINGS.failpoint, variables).value,
    maskKey: readSetting(SETTINGS.maskKey, variables).value,
    dumpMaxUnpackedBytes: readSetting(SETTINGS.dumpMaxUnpackedBytes, variables).value,
  }
}

function readVariables(): Variables {
  const variables = set(process.env)
  const file = resolve(readSetting(SETTINGS.envFile, variables).value)
  return existsSync(file) ? { ...parseEnv(readFileSync(file, 'utf8')), ...variables } : variables
}

/** From now on these settings hold, and no others, in this process and in those that it starts. */
export function useSettings(settings: Partial<Record<keyof Settings, string>>): void {
  for (const { name, also = [] } of Object.values<Setting<unknown>>(SETTINGS)) {
    for (const each of [name, ...also]) delete process.env[each]
  }
  for (const name of ['DATABASE_URL', 'CONTROL_STORE']) delete process.env[name]
  process.env[SETTINGS.envFile.name] = '/dev/null'
  for (const [key, value] of Object.entries(settings)) process.env[SETTINGS[key as keyof Settings].name] = value
}

/** An empty variable counts as one that is not set. */
function set(variables: Variables): Variables {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined && value !== ''))
}

/** @throws AppError `invalid_setting` */
export function toConfig(variables: Variables): Config {
  const values = readAll(variables)
  const dataDirectory = resolve(values.dataDirectory ?? defaultDataDirectory())
  return {
    ...values,
    dataDirectory,
    store: storeLocation(values, variables, dataDirectory),
    given: new Set(
      Object.values<Setting<unknown>>(SETTINGS)
        .filter((setting) => readSetting(setting, variables).from !== null)
        .map(({ name }) => name),
    ),
    datasources: Object.fromEntries(
      Object.entries(variables).flatMap(([name, value]) =>
        /^DATASOURCE_\w+_(URL|ENVIRONMENT|SERVICE_ROLE_KEY)$/.test(name) && value ? [[name, value]] : [],
      ),
    ),
  }
}

/** The same table, by which each setting is known to give the type of its own value. */
const READERS: { readonly [K in keyof Values]: Setting<Values[K]> } = SETTINGS

function readAll(variables: Variables): Values {
  const values: { -readonly [K in keyof Values]?: Values[K] } = {}
  const read = <K extends keyof Values>(key: K): void => {
    values[key] = readSetting(READERS[key], variables).value
  }
  for (const key of Object.keys(SETTINGS)) read(key as keyof Values)
  return values as Values
}

interface ReadSetting<T> {
  readonly value: T
  readonly text: string
  /** The variable that it came from, or null for the default. */
  readonly from: string | null
}

function readSetting<T>(setting: Setting<T>, variables: Variables): ReadSetting<T> {
  const from = [setting.name, ...(setting.also ?? [])].find((name) => variables[name]) ?? null
  const given = from === null ? setting.default : (variables[from] ?? '')
  try {
    return { value: setting.read(given), text: given, from }
  } catch (error) {
    if (!(error instanceof BadSetting)) throw error
    const shown = setting.secret ? '' : `, not "${given}"`
    throw new AppError('invalid_setting', `${from ?? setting.name} takes ${error.message}${shown}.`)
  }
}

/** What each setting is and where it came from, with secrets hidden. */
export function listSettings(): readonly { name: string; value: string; from: string | null; help: string }[] {
  const variables = readVariables()
  return Object.values<Setting<unknown>>(SETTINGS).map((setting) => {
    const { text: given, from } = readSetting(setting, variables)
    const value = setting.secret && given !== '' ? (setting.show?.(given) ?? '***') : given
    return { name: setting.name, value, from, help: setting.help }
  })
}

function storeLocation(values: Values, variables: Variables, dataDirectory: string): StoreLocation {
  if (values.databaseUrl !== null) return { url: values.databaseUrl.reveal() }
  const foreign = variables['DATABASE_URL'] ?? ''
  if (variables['CONTROL_STORE'] === 'postgres' && foreign !== '') return { url: foreign }
  const file = /^sqlite(?:\+\w+)?:\/\/\/(.+)$/.exec(foreign)?.[1]
  return { file: resolve(values.storeFile ?? file ?? join(dataDirectory, 'control.sqlite')) }
}

/** `data` in a checkout; for an installed program the place that the system has for the data of users. */
function defaultDataDirectory(): string {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  if (existsSync(join(root, 'src', 'main.ts'))) return join(root, 'data')
  const { XDG_DATA_HOME: data } = process.env
  return join(data || join(homedir(), '.local', 'share'), 'syncline')
}

/** Variables that hold secrets of the service itself. */
export function secretVariables(): readonly string[] {
  const settings = Object.values<Setting<unknown>>(SETTINGS).filter(({ secret: isSecret }) => isSecret)
  return ['DATABASE_URL', ...settings.flatMap(({ name, also }) => [name, ...(also ?? [])])]
}

/** A variable that the user named; null where it is not set or empty. */
export function readVariable(name: string): string | null {
  return process.env[name] || null
}

/**
 * Removes the variables by which PostgreSQL's own clients are steered (PGPASSWORD, PGOPTIONS, PGSSLMODE, …) from this
 * process. In a user's shell they belong to another program, and the driver would fall back to them: an address, a
 * password or an option that nobody named must not decide what is read or written.
 */
export function forgetForeignVariables(): void {
  for (const name of Object.keys(process.env)) {
    if (/^(PG[A-Z]|NODE_PG_)/.test(name)) delete process.env[name]
  }
}

/** How the user calls the program: installed, or from a checkout. */
export function calledAs(): string {
  return process.env['npm_lifecycle_event'] ? 'npm run -s syncline --' : 'syncline'
}
