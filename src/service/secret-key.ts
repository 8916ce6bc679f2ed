/** The key that stored passwords are sealed with: from the environment, or from a file that is made at the first start. */
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { toError } from '#lib/assert.ts'
import type { Secret } from '#lib/secret.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { AppError } from '#model/errors.ts'

export interface SecretKeyConfig {
  readonly secretKey: Secret | null
  /** The key before it, while passwords are sealed anew. */
  readonly previousSecretKey: Secret | null
  readonly dataDirectory: string
}

export const KEY_FILE = 'secret.key'

const LEAST_BYTES = 32
/** Random bytes as base64 or hex have many different characters, and so has a sentence; a repeated key has not. */
const LEAST_DISTINCT = 10

/** Examples out of documentations, which people leave as they are. */
const KNOWN =
  /your[-_ ]?(super[-_ ]?)?secret|change[-_ ]?(me|this|in|it)|replace[-_ ]?(me|this)|placeholder|example|insecure|not[-_ ]?so[-_ ]?secret|super[-_ ]?secret|secret[-_ ]?key|default[-_ ]?key|0123456789abcdef/i

/**
 * The box that opens and seals what is stored.
 * @throws AppError `weak_secret_key`; `secret_unreadable` where the key file cannot be used
 */
export function openSecretBox({ secretKey, previousSecretKey, dataDirectory }: SecretKeyConfig): SecretBox {
  const current = secretKey === null ? readKeyFile(join(dataDirectory, KEY_FILE)) : toKey(secretKey, 'SECRET_KEY')
  // A former key may be weak: it only opens, until everything is sealed anew.
  return new SecretBox(previousSecretKey === null ? [current] : [current, bytesOf(previousSecretKey)])
}

function toKey(secret: Secret, name: string): Uint8Array {
  const text = secret.reveal().trim()
  const reason = weakness(text)
  if (reason === null) return bytesOf(secret)
  throw new AppError('weak_secret_key', `${name} cannot be used: it ${reason}.`)
}

function bytesOf(secret: Secret): Uint8Array {
  return Buffer.from(secret.reveal().trim(), 'utf8')
}

function weakness(text: string): string | null {
  if (KNOWN.test(text)) return 'is one of the examples that everybody knows'
  // Each hex digit is half a byte.
  const bytes = /^[0-9a-f]+$/i.test(text) ? Math.floor(text.length / 2) : Buffer.byteLength(text)
  if (bytes < LEAST_BYTES) return `has ${bytes} bytes, and ${LEAST_BYTES} are needed`
  return new Set(text).size < LEAST_DISTINCT ? 'repeats the same few characters' : null
}

function readKeyFile(path: string): Uint8Array {
  try {
    makeKeyFile(path)
    const { mode } = statSync(path)
    if ((mode & 0o077) !== 0) throw new Error('others may read it; chmod 600 it, and consider the key as known')
    const text = readFileSync(path, 'utf8').trim()
    const reason = weakness(text)
    if (reason !== null) throw new Error(`it ${reason}`)
    return Buffer.from(text, 'utf8')
  } catch (error) {
    throw new AppError('secret_unreadable', `The key file ${path} cannot be used: ${toError(error).message}.`, {
      hint: 'Mend the file, or give the key as SECRET_KEY.',
      cause: error,
    })
  }
}

/** Whole or not at all, whoever else makes one at the same moment. */
function makeKeyFile(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return
  mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  writeFileSync(draft, `${randomBytes(LEAST_BYTES).toString('base64')}\n`, { mode: 0o600, flag: 'wx', flush: true })
  try {
    linkSync(draft, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    rmSync(draft)
  }
}
