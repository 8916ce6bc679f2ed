/** What stands in the query of a page: texts under names that the page knows, and nothing else. */
export type TextSearch<N extends string> = { readonly [K in N]?: string }

/** A validator for the router: keeps the texts of these names. */
export function texts<const N extends string>(...names: readonly N[]): (raw: Record<string, unknown>) => TextSearch<N> {
  return (raw) => given(Object.fromEntries(names.map((name) => [name, textOf(raw[name])])) as Record<N, string>)
}

/** Those of the texts that say something: for the query of a page or of the API, where what is not asked for is left out. */
export function given<N extends string>(all: { readonly [K in N]?: string | null | undefined }): TextSearch<N> {
  const said = Object.entries(all).filter(([, text]) => typeof text === 'string' && text !== '')
  return Object.fromEntries(said) as TextSearch<N>
}

/** What stands in the query after some of it has changed; an empty text takes its name out of the address. */
export function changedSearch<S extends object>(before: S, changes: Partial<S>): S {
  const after = Object.entries({ ...before, ...changes }).filter(([, text]) => text !== '' && text !== undefined)
  return Object.fromEntries(after) as S
}

/** The router reads what looks like a number as one. */
function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}
