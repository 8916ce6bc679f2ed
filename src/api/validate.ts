import type { FastifySchemaCompiler } from 'fastify'
import type { $ZodType } from 'zod/v4/core'
import { InvalidRequest } from '#api/problem.ts'
import { fit } from '#lib/schema-words.ts'

const PARTS: Readonly<Record<string, string>> = {
  body: 'body',
  querystring: 'query',
  params: 'path',
  headers: 'headers',
}

/** Checks each part of a request against its schema, and names all places that do not fit. */
export const validatorCompiler: FastifySchemaCompiler<$ZodType> = ({ schema, httpPart = '' }) => {
  const part = PARTS[httpPart] ?? httpPart
  return (data: unknown) => {
    // A body that was left out is an empty one; where something is needed, the schema says what.
    const found = fit(schema, httpPart === 'body' ? (data ?? {}) : data)
    if (found.flaws !== null) {
      const places = found.flaws.map(({ path, message }) => ({
        place: [`${part}#`, ...path.map(escape)].join('/'),
        message,
      }))
      return { error: new InvalidRequest(places) }
    }
    const broken = httpPart === 'body' ? null : nameWithNul(data)
    if (broken !== null) {
      return { error: new InvalidRequest([{ place: `${part}#/${escape(broken)}`, message: 'U+0000 is not allowed.' }]) }
    }
    return { value: found.value }
  }
}

function escape(name: PropertyKey): string {
  return String(name).slice(0, 200).replaceAll('~', '~0').replaceAll('/', '~1')
}

/** A parameter that holds U+0000, which PostgreSQL cannot compare with anything. */
function nameWithNul(data: unknown): string | null {
  if (typeof data !== 'object' || data === null) return null
  const found = Object.entries(data).find(([, value]) => typeof value === 'string' && value.includes('\0'))
  return found?.[0] ?? null
}
