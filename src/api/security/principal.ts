import type { FastifyRequest } from 'fastify'
import { InvalidRequest } from '#api/problem.ts'
import type { KeyThrottle } from '#api/security/throttle.ts'
import type { ApiTools } from '#api/tools.ts'
import { findApiKey, isKeyGood, noteKeyUse } from '#control/api-keys.ts'
import { recordAudit } from '#control/audit.ts'
import { findSession, isSessionGood, type Session } from '#control/sessions.ts'
import { redeemSignInLink } from '#control/sign-in-links.ts'
import { addMs } from '#lib/clock.ts'
import { hashToken } from '#lib/token.ts'
import type { Actor, ApiKey } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import { readSessionCookie } from '#api/security/session-cookie.ts'

/** Who is behind a request, and by what: a key that came with it, or a session that a key opened. */
export interface Principal {
  readonly actor: Actor
  readonly key: ApiKey
  readonly session: Session | null
}

/** A key that was entered this long ago is not fresh any more (S11). */
const FRESH_MS = 10 * 60_000

/** What a header may hold at most that is looked up as a key. */
const LONGEST_KEY = 200

/** Finds out who asks; null where the request carries neither key nor cookie. @throws AppError `unauthenticated` */
export async function identify(
  { store, config, ownKey }: ApiTools,
  request: FastifyRequest,
  throttle: KeyThrottle,
): Promise<Principal | null> {
  const secret = readKey(request)
  if (ownKey !== undefined && secret !== null && hashToken(secret) === hashToken(ownKey.secret.reveal())) {
    return { key: ownKey.key, session: null, actor: actorOf(ownKey.key, request.ip) }
  }
  if (secret !== null) {
    const key = await checkKey(store, { secret, address: request.ip }, throttle)
    return { key, session: null, actor: actorOf(key, request.ip) }
  }
  const token = readSessionCookie(request, config)
  if (token === null) return null
  const found = await findSession(store, token)
  if (found === null) {
    throw new AppError('unauthenticated', 'The session is over.', { hint: 'Sign in again with a key.' })
  }
  return { ...found, actor: actorOf(found.key, request.ip) }
}

interface Attempt {
  readonly secret: string
  readonly address: string
}

/** The key that somebody entered, with whatever follows from a wrong one. @throws AppError `unauthenticated`, `rate_limited` */
export function checkKey(store: ApiTools['store'], attempt: Attempt, throttle: KeyThrottle): Promise<ApiKey> {
  return check(store, attempt, { throttle, find: findApiKey, refusal: 'The key is wrong, revoked or expired.' })
}

/** The key that a link of the service signs in with, which works once. @throws AppError as `checkKey` */
export function checkCode(store: ApiTools['store'], attempt: Attempt, throttle: KeyThrottle): Promise<ApiKey> {
  return check(store, attempt, {
    throttle,
    find: redeemSignInLink,
    refusal: 'The link is wrong, was used already, or has expired.',
  })
}

async function check(
  store: ApiTools['store'],
  { secret, address }: Attempt,
  how: { throttle: KeyThrottle; find: typeof findApiKey; refusal: string },
): Promise<ApiKey> {
  const { throttle, find, refusal } = how
  throttle.check(address)
  const key = secret.length > LONGEST_KEY ? null : await find(store, secret)
  if (key === null) {
    throttle.fail(address)
    await recordAudit(store, nobody(address), { action: 'login.refuse', subject: null, data: {} })
    throw new AppError('unauthenticated', refusal)
  }
  throttle.succeed(address)
  await noteKeyUse(store, key)
  return key
}

/** Whether what let somebody in still does, for streams that stay open (S12). */
export async function isStillGood({ store, ownKey }: ApiTools, { key, session }: Principal): Promise<boolean> {
  if (key.id === ownKey?.key.id) return true
  return session === null ? isKeyGood(store, key.id) : isSessionGood(store, session.id)
}

/** A key that comes with the request is fresh; a session is where the key was entered a short while ago. */
export function isFresh({ session }: Principal, now: string): boolean {
  return session === null || now < addMs(session.confirmedAt, FRESH_MS)
}

export function actorOf({ id, name, role, datasources }: ApiKey, address: string): Actor {
  return { id, name, role, datasources, address }
}

/** Somebody who has not shown who they are. */
export function nobody(address: string): Actor {
  return { id: 'nobody', name: 'nobody', role: 'viewer', datasources: [], address }
}

/** The key that a request carries, or null. @throws InvalidRequest where it carries two */
function readKey({ headers }: FastifyRequest): string | null {
  const { authorization } = headers
  const bearer = /^Bearer +([^ ]+) *$/i.exec(authorization ?? '')?.[1]
  if (authorization !== undefined && bearer === undefined) {
    throw new AppError('unauthenticated', 'The header Authorization does not have the form Bearer KEY.')
  }
  const single = headers['x-api-key']
  if (bearer !== undefined && single !== undefined) {
    throw new InvalidRequest([{ place: 'headers#/x-api-key', message: 'A request carries one key, not two.' }])
  }
  return bearer ?? (single === undefined ? null : String(single))
}
