import { createHmac, randomBytes } from 'node:crypto'
import { Secret } from './secret.ts'

/** Messages to webhooks are signed as the specification Standard Webhooks says (scheme v1, HMAC-SHA256). */

const PREFIX = 'whsec_'
const SECRET_BYTES = 32

/** A new secret of 256 random bits, as receivers take it: `whsec_` and base64. */
export function makeWebhookSecret(): Secret {
  return new Secret(PREFIX + randomBytes(SECRET_BYTES).toString('base64'))
}

/**
 * The headers of a message. Each secret signs it, so that a receiver may know either while one takes the other's place.
 * `seconds` is the time of this attempt, since 1970; receivers refuse what is some minutes old.
 */
export function signWebhook(
  { id, seconds, body }: { readonly id: string; readonly seconds: number; readonly body: string },
  secrets: readonly Secret[],
): Readonly<Record<string, string>> {
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.reveal().slice(PREFIX.length), 'base64')
    return `v1,${createHmac('sha256', key).update(`${id}.${seconds}.${body}`, 'utf8').digest('base64')}`
  })
  return { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': signatures.join(' ') }
}
