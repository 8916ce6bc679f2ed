import type { Schemas } from '#api/client.ts'

/** Edits of the document of a sync config. Each gives a new document; fields that it does not speak of stay as they are. */

export type Document = Schemas['SyncConfigDocument']
export type Table = Schemas['TableMapping']

/** The document of a config as it is kept: without what the service knows about it. */
export function documentOf(config: Schemas['SyncConfig']): Document {
  const { id: _, version: __, created_at: ___, updated_at: ____, ...document } = config
  return document
}

/** An object with a field set, or without it: what has its default is left out. */
export function withField<T extends object, K extends keyof T>(object: T, name: K, value: T[K] | undefined): T {
  if (value === undefined) return Object.fromEntries(Object.entries(object).filter(([key]) => key !== name)) as T
  return { ...object, [name]: value }
}

/** Whether two values say the same; the order of an object's fields says nothing. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((one, i) => isSame(one, b[i]))
  }
  const [left, right] = [definedOf(a), definedOf(b)]
  return left.size === right.size && [...left].every(([key, value]) => right.has(key) && isSame(value, right.get(key)))
}

function definedOf(object: object): ReadonlyMap<string, unknown> {
  return new Map(Object.entries(object).filter(([, value]) => value !== undefined))
}

export interface Difference {
  /** A JSON pointer. */
  readonly path: string
  readonly before: unknown
  readonly after: unknown
}

/** What is different between two documents, at the deepest place where it can be said. */
export function differencesOf(before: unknown, after: unknown, path = ''): Difference[] {
  if (isSame(before, after)) return []
  if (isPlain(before) && isPlain(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)])
    return [...names].flatMap((name) => differencesOf(before[name], after[name], `${path}/${escapePart(name)}`))
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    return before.flatMap((one, i) => differencesOf(one, after[i], `${path}/${i}`))
  }
  return [{ path, before: before ?? null, after: after ?? null }]
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function escapePart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

/**
 * My changes put on top of what somebody else has saved meanwhile: a field that I changed is as I have it, any other as they
 * do. `clashes` names the fields that both changed, differently.
 */
export function rebase(
  base: Document,
  mine: Document,
  theirs: Document,
): { readonly document: Document; readonly clashes: readonly string[] } {
  const [was, my, their] = [base, mine, theirs] as readonly Readonly<Record<string, unknown>>[] as readonly [
    Readonly<Record<string, unknown>>,
    Readonly<Record<string, unknown>>,
    Readonly<Record<string, unknown>>,
  ]
  const names = new Set([...Object.keys(was), ...Object.keys(my), ...Object.keys(their)])
  const clashes: string[] = []
  const fields = [...names].flatMap((name) => {
    const iChanged = !isSame(was[name], my[name])
    if (iChanged && !isSame(was[name], their[name]) && !isSame(my[name], their[name])) clashes.push(name)
    const value = iChanged ? my[name] : their[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return { document: Object.fromEntries(fields) as Document, clashes }
}
