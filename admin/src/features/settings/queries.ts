import { queryOptions } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'

export type ApiKey = Schemas['ApiKey']
export type Session = Schemas['Session']

/** All keys, the newest first; a service has few. */
export const keysQuery = queryOptions({
  queryKey: ['keys'],
  queryFn: async () => (await body(api.GET('/api/v1/keys', { params: { query: { limit: '1000' } } }))).items,
})

export const sessionsQuery = queryOptions({
  queryKey: ['sessions'],
  queryFn: async () => (await body(api.GET('/api/v1/sessions'))).items,
})

export const redisQuery = queryOptions({
  queryKey: ['settings', 'redis'],
  queryFn: () => body(api.GET('/api/v1/settings/redis')),
})

export const retentionQuery = queryOptions({
  queryKey: ['settings', 'retention'],
  queryFn: () => body(api.GET('/api/v1/settings/retention')),
})

export const aiQuery = queryOptions({
  queryKey: ['settings', 'ai'],
  queryFn: () => body(api.GET('/api/v1/settings/ai')),
})

/** How often what the service is doing is asked for. */
const POLL_MS = 10_000

export const statusQuery = queryOptions({
  queryKey: ['status'],
  queryFn: () => body(api.GET('/api/v1/status')),
  refetchInterval: POLL_MS,
})

export const storeQuery = queryOptions({
  queryKey: ['status', 'store'],
  queryFn: () => body(api.GET('/api/v1/health/db')),
  refetchInterval: POLL_MS,
})
