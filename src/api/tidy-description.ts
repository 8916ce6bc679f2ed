/** The part of a description whose schemas have names. */
interface Described {
  readonly components?: { schemas?: Record<string, unknown> }
}

const REF = '#/components/schemas/'

/** What the generator adds to the name of a schema as it is for requests. */
const REQUEST_SUFFIX = 'Input'

/**
 * Takes out what the generator doubles: it describes every schema once for requests and once for answers. Where both are
 * the same one stays, and what nothing refers to goes.
 */
export function tidyDescription(description: object): object {
  const { components, ...rest } = description as Described
  const schemas = components?.schemas ?? {}
  const doubled = Object.keys(schemas).filter((name) => {
    const own = name.slice(0, -REQUEST_SUFFIX.length)
    return name.endsWith(REQUEST_SUFFIX) && own in schemas && sameSchema(schemas[name], schemas[own])
  })
  const names = new Set(doubled)
  const used = new Set<string>()
  const tidySchemas = redirect(schemas, names)
  const tidyRest = redirect(rest, names)
  collect(tidyRest, tidySchemas, used)
  const kept = Object.entries(tidySchemas).filter(([name]) => used.has(name))
  return { ...tidyRest, components: { ...components, schemas: Object.fromEntries(kept) } }
}

/** Two schemas that differ at most in which of the doubles they refer to. */
function sameSchema(a: unknown, b: unknown): boolean {
  const plain = (schema: unknown): string =>
    JSON.stringify(schema, (key, value: unknown) =>
      key === '$ref' && typeof value === 'string' && value.endsWith(REQUEST_SUFFIX)
        ? value.slice(0, -REQUEST_SUFFIX.length)
        : value,
    )
  return plain(a) === plain(b)
}

function redirect<T>(description: T, doubled: ReadonlySet<string>): T {
  return JSON.parse(JSON.stringify(description), (key, value: unknown) => {
    if (key !== '$ref' || typeof value !== 'string') return value
    return doubled.has(value.slice(REF.length)) ? value.slice(0, -REQUEST_SUFFIX.length) : value
  }) as T
}

/** Names of the schemas that a part refers to, also by way of others. */
function collect(part: unknown, schemas: Readonly<Record<string, unknown>>, used: Set<string>): void {
  if (typeof part !== 'object' || part === null) return
  for (const [key, value] of Object.entries(part)) {
    if (key !== '$ref' || typeof value !== 'string') {
      collect(value, schemas, used)
      continue
    }
    const name = value.slice(REF.length)
    if (used.has(name)) continue
    used.add(name)
    collect(schemas[name], schemas, used)
  }
}
