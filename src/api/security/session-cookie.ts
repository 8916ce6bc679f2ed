import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ApiConfig } from '#api/tools.ts'
import { SESSION_MS } from '#control/sessions.ts'
import type { Secret } from '#lib/secret.ts'

/** Under TLS the prefix makes browsers refuse a cookie of this name that a neighbour or a clear connection has set (S6). */
function cookieName({ tls }: ApiConfig): string {
  return tls ? '__Host-syncline' : 'syncline_session'
}

function attributes({ tls }: ApiConfig): CookieSerializeOptions {
  return { path: '/', httpOnly: true, sameSite: 'strict', secure: tls }
}

export function readSessionCookie(request: FastifyRequest, config: ApiConfig): string | null {
  return request.cookies[cookieName(config)] ?? null
}

export function setSessionCookie(reply: FastifyReply, config: ApiConfig, token: Secret): void {
  void reply.setCookie(cookieName(config), token.reveal(), { ...attributes(config), maxAge: SESSION_MS / 1_000 })
}

export function clearSessionCookie(reply: FastifyReply, config: ApiConfig): void {
  void reply.clearCookie(cookieName(config), attributes(config))
}
