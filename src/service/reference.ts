import { readFileSync } from 'node:fs'
import { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'
import { readVariable } from './config.ts'

/** A database as the user named it. */
export interface Reference {
  readonly url: Secret
  /** As it was given, with a password replaced by `***`: fit to be printed and to be called again. */
  readonly shown: string
  /** A password stands on the command line, where other users of the machine can read it. */
  readonly exposed: boolean
}

/** Whether a text leads to a database by itself, and is not the name of a datasource. */
export function isReference(text: string): boolean {
  return /^(env|file):/.test(text) || text.includes('://')
}

/** Reads a URL, or `env:NAME` or `file:PATH`, which hold one. @throws AppError `invalid_url`, never with what they hold */
export function readReference(text: string): Reference {
  const [, kind, place] = /^(env|file):(.*)$/s.exec(text) ?? []
  if (kind === undefined || place === undefined) {
    const shown = hidePassword(text)
    return { url: new Secret(text), shown, exposed: shown !== text }
  }
  return { url: new Secret(kind === 'env' ? fromVariable(place) : fromFile(place)), shown: text, exposed: false }
}

/**
 * Reads a key from `env:NAME` or `file:PATH`. One that stands on the command line itself is refused: it opens everything,
 * and other users of the machine can read it there.
 * @throws AppError `usage`, `invalid_url`
 */
export function readKey(text: string): Secret {
  if (/^(env|file):/.test(text)) return readReference(text).url
  throw new AppError('usage', 'A key is not given on the command line itself.', {
    hint: 'Put it into a variable or a file, and give env:NAME or file:PATH.',
  })
}

function fromVariable(name: string): string {
  const value = readVariable(name)
  if (value !== null) return value.trim()
  throw new AppError('invalid_url', `The environment variable ${name} is not set.`, {
    hint: `Set it to the URL of the database, for example ${name}=postgres://user:password@host/database`,
  })
}

function fromFile(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new AppError('invalid_url', `The file ${path}, which should hold a URL, cannot be read.`, {
      hint: 'Write the URL of the database into the file, and nothing else.',
      cause: error,
    })
  }
  if (text === '') throw new AppError('invalid_url', `The file ${path}, which should hold a URL, is empty.`)
  return text
}

/** Whatever stands where a password stands, also in a text that is no proper URL. */
export function hidePassword(url: string): string {
  return url
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^:@/?#]*:)(.*)@/is, (_match, start: string, password: string) =>
      password === '' ? `${start}@` : `${start}***@`,
    )
    .replace(/([?&]password=)[^&#]+/gi, '$1***')
}
