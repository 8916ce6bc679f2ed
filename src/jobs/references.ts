import { open, realpath } from 'node:fs/promises'
import { isAbsolute, join, relative } from 'node:path'
import { parseDatabaseUrl } from '#adapters/registry.ts'
import { toError } from '#lib/assert.ts'
import { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'

/** Where references may lead. */
export interface ReferenceSources {
  /** A variable of the environment, or null. */
  readonly readVariable: (name: string) => string | null
  /** Variables that hold secrets of the service itself: a datasource would send them to whatever host it names. */
  readonly ownSecrets: readonly string[]
  /** The directory in which `file:` references may lie; null: they are refused. */
  readonly directory: string | null
  /** HashiCorp Vault; null: `vault:` references are refused. */
  readonly vault: { readonly address: string; readonly token: Secret } | null
}

const MAX_FILE_BYTES = 64 * 1024
const VAULT_TIMEOUT_MS = 5_000

/** Declares a datasource: its value is a whole URL, and it serves that datasource alone. */
export const DATASOURCE_VARIABLE = /^DATASOURCE_\w+_URL$/

/** The key of a datasource whose URL is that of a project; it serves that datasource alone. */
const PROJECT_KEY_VARIABLE = /^DATASOURCE_\w+_SERVICE_ROLE_KEY$/

/**
 * Looks up a password: `env:NAME`, `file:PATH` inside the configured directory, or `vault:MOUNT/PATH#FIELD` (KV version
 * 2). `origin` is that of the datasource that refers to it.
 * @throws AppError `secret_unreadable`, never with what it found
 */
export async function lookUpPassword(
  reference: string,
  origin: 'stored' | 'environment' | 'ad_hoc',
  sources: ReferenceSources,
): Promise<Secret | null> {
  const [, kind = '', place = ''] = /^(env|file|vault):(.+)$/s.exec(reference) ?? []
  switch (kind) {
    case 'env':
      return fromVariable(place, origin, sources)
    case 'file':
      return new Secret(await readSecretFile(place, sources.directory))
    case 'vault':
      return new Secret(await readVault(place, sources.vault))
    default:
      throw unreadable(reference, 'it is none of env:NAME, file:PATH and vault:PATH#FIELD')
  }
}

/** Whether a reference has a form that can be looked up at all. @throws AppError `invalid_request` */
export function checkReference(reference: string, { ownSecrets }: Pick<ReferenceSources, 'ownSecrets'>): void {
  const [, kind, place = ''] = /^(env|file|vault):(.+)$/s.exec(reference) ?? []
  const fits =
    (kind === 'env' && /^[A-Za-z_]\w*$/.test(place) && !isForeign(place, 'stored', ownSecrets)) ||
    (kind === 'file' && !place.includes('\0')) ||
    (kind === 'vault' && VAULT_PLACE.test(place))
  if (fits) return
  throw new AppError('invalid_request', `${reference} is no reference to a password.`, {
    hint: 'Write env:NAME, file:PATH (inside SYNCLINE_SECRET_FILES) or vault:MOUNT/PATH#FIELD; secrets of the service itself cannot be named.',
  })
}

function isForeign(name: string, origin: string, ownSecrets: readonly string[]): boolean {
  const declares = DATASOURCE_VARIABLE.test(name) || PROJECT_KEY_VARIABLE.test(name)
  return ownSecrets.includes(name) || (declares && origin !== 'environment')
}

function fromVariable(name: string, origin: string, { readVariable, ownSecrets }: ReferenceSources): Secret | null {
  if (isForeign(name, origin, ownSecrets)) throw unreadable(`env:${name}`, 'it holds a secret of the service itself')
  const value = readVariable(name)
  if (value === null) throw unreadable(`env:${name}`, 'the variable is not set')
  return DATASOURCE_VARIABLE.test(name) ? parseDatabaseUrl(value).password : new Secret(value)
}

async function readSecretFile(path: string, directory: string | null): Promise<string> {
  const reference = `file:${path}`
  if (directory === null)
    throw unreadable(reference, 'no directory for such references is configured (SYNCLINE_SECRET_FILES)')
  try {
    const root = await realpath(directory)
    // What it really is, behind every link and every `..`.
    const file = await realpath(isAbsolute(path) ? path : join(root, path))
    const inside = relative(root, file)
    if (inside === '' || inside.startsWith('..') || isAbsolute(inside)) throw new OutsideDirectory()
    await using handle = await open(file, 'r')
    const { size, isFile } = await handle.stat().then((stat) => ({ size: stat.size, isFile: stat.isFile() }))
    if (!isFile || size > MAX_FILE_BYTES) throw new Error(`it is no file of at most ${MAX_FILE_BYTES} bytes`)
    const text = (await handle.readFile('utf8')).replace(/\r?\n$/, '')
    if (text === '') throw new Error('the file is empty')
    return text
  } catch (error) {
    if (error instanceof OutsideDirectory) throw unreadable(reference, 'it leads out of the configured directory')
    throw unreadable(reference, fileFault(toError(error)), error)
  }
}

class OutsideDirectory extends Error {
  override readonly name = 'OutsideDirectory'
}

function fileFault(error: Error): string {
  const code = 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file'
  return code === 'EACCES' ? 'the service may not read it' : error.message
}

const VAULT_PLACE = /^([\w-]+)\/([\w./-]+)#([\w.-]+)$/

/** GET /v1/MOUNT/data/PATH of the KV secrets engine, version 2. */
async function readVault(place: string, vault: ReferenceSources['vault']): Promise<string> {
  const reference = `vault:${place}`
  if (vault === null) throw unreadable(reference, 'no Vault is configured (VAULT_ADDR, VAULT_TOKEN)')
  const [, mount = '', path = '', field = ''] = VAULT_PLACE.exec(place) ?? []
  if (mount === '' || path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    throw unreadable(reference, 'it is not of the form vault:MOUNT/PATH#FIELD')
  }
  const url = new URL(`v1/${mount}/data/${path.replace(/^data\//, '')}`, vault.address.replace(/\/*$/, '/'))
  let answer: Response
  try {
    answer = await fetch(url, {
      headers: { 'x-vault-token': vault.token.reveal(), 'x-vault-request': 'true' },
      // The token goes to no other place than the one that was configured.
      redirect: 'error',
      signal: AbortSignal.timeout(VAULT_TIMEOUT_MS),
    })
  } catch (error) {
    throw unreadable(reference, 'the Vault does not answer', error)
  }
  if (!answer.ok) {
    await answer.body?.cancel()
    throw unreadable(reference, VAULT_FAULTS[answer.status] ?? `the Vault answered ${answer.status}`)
  }
  const value = fieldOf(await answer.json().catch(() => null), field)
  if (value === null) throw unreadable(reference, `there is no text under the field ${field}`)
  return value
}

const VAULT_FAULTS: Readonly<Record<number, string>> = {
  403: 'the token may not read it',
  404: 'there is nothing at this path',
  503: 'the Vault is sealed',
}

function fieldOf(answer: unknown, field: string): string | null {
  let value = answer
  for (const name of ['data', 'data', field]) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return null
    value = (value as Record<string, unknown>)[name]
  }
  return typeof value === 'string' && value !== '' ? value : null
}

function unreadable(reference: string, why: string, cause?: unknown): AppError {
  return new AppError('secret_unreadable', `The password under ${reference} cannot be read: ${why}.`, {
    hint: 'Correct the reference of the datasource, or what it leads to.',
    cause,
  })
}
