/** The routes of the API as its description has them. */
import type { ApiUnderTest } from './api.ts'

export interface DescribedRoute {
  readonly method: string
  /** With parameters in braces: `/api/v1/jobs/{id}`. */
  readonly path: string
  readonly body: JsonSchema | null
  readonly query: readonly string[]
}

export interface JsonSchema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly additionalProperties?: boolean | JsonSchema
}

interface Parameter {
  readonly in: string
  readonly name: string
}

interface Operation {
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: JsonSchema } } }
}

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> }
}

export async function readDescription(
  api: ApiUnderTest,
  key: string | null = null,
): Promise<{
  readonly routes: readonly DescribedRoute[]
  readonly resolve: (schema: JsonSchema) => JsonSchema
}> {
  const description = (await api.send(key, 'GET', '/openapi.json')).json<Description>()
  const resolve = (schema: JsonSchema): JsonSchema => {
    if (schema.$ref === undefined) return schema
    const found = description.components.schemas[schema.$ref.split('/').at(-1) ?? '']
    if (found === undefined) throw new Error(`the description has no ${schema.$ref}`)
    return resolve(found)
  }
  const routes = Object.entries(description.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      body: requestBody?.content['application/json'].schema ?? null,
      query: parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name),
    })),
  )
  return { routes, resolve }
}

/** Puts ids into a path. */
export function fillPath(path: string, ids: Readonly<Record<string, string>>): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(ids[name] ?? 'nothing'))
}
