import { createHash, randomBytes } from 'node:crypto'
import { Secret } from './secret.ts'

const BYTES = 32

/** A secret that nobody can guess: 256 random bits behind a prefix that says what it opens. */
export function makeToken(prefix: string): Secret {
  return new Secret(prefix + randomBytes(BYTES).toString('base64url'))
}

/**
 * What is kept of a token. It has more chance in it than anybody can try, so that one round of SHA-256 is enough; and
 * looking for it by its hash takes the same time whatever is wrong with it.
 */
export function hashToken(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex')
}
