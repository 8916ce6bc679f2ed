import type { IncomingMessage, ServerResponse } from 'node:http'
import { randomBytes } from 'node:crypto'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { StreamCount } from '#api/live/stream-count.ts'
import type { Principal } from '#api/security/principal.ts'
import type { KeyThrottle } from '#api/security/throttle.ts'
import type { ApiTools } from '#api/tools.ts'
import { must } from '#lib/assert.ts'
import { wallMs } from '#lib/clock.ts'
import type { Role } from '#model/access.ts'
import { makeId, type IdKind } from '#model/id.ts'

/** A server whose routes have zod schemas. */
export type Api = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

/** What routes work with: the tools, and what all requests share. */
export interface Context extends ApiTools {
  readonly throttle: KeyThrottle
  readonly streams: StreamCount
  /** Fires when the server closes: open streams end. */
  readonly closing: AbortSignal
}

/** Who may call a route: everybody, or keys of this role and above. */
export type Access = 'public' | Role

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Every route says it; one that does not is refused when it is registered. */
    access?: Access
    /** Its body may take as long as it takes, while it does not fall silent. */
    slowBody?: boolean
  }

  interface FastifyRequest {
    /** Null on routes for everybody. */
    principal: Principal | null
  }
}

/** Who asks, on routes that are not for everybody. */
export function principalOf(request: FastifyRequest): Principal {
  return must(request.principal, 'somebody behind a request')
}

export function newId(kind: IdKind): string {
  return makeId(kind, wallMs(), randomBytes(10))
}

/** The paths in answers, whichever of the two ways they were asked by. */
export const PREFIX = '/api/v1'

/** Every route is under both. The second one is in the description. */
export const PREFIXES = ['/api', PREFIX] as const
