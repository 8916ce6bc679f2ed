/** What the tests of change sets have in common: small databases, and calls to the API. */
import type { Fields, Lab } from '#test/harness/quarantine.ts'

export const small = {
  source: 'CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, $$new$$ FROM generate_series(1, 20) i',
  target: 'CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, $$old$$ FROM generate_series(1, 20) i',
}
export const SMALL = { max_overwrite_percent: 100 }

export interface Page {
  readonly items: readonly Fields[]
  readonly next_cursor: string | null
  readonly summary: Fields & { readonly tables: readonly Fields[] }
}

export const changesOf = async (lab: Lab, job: string, query = ''): Promise<Page> =>
  (await lab.ask('GET', `/api/jobs/${job}/changes?${query}`)) as unknown as Page

export const approve = (lab: Lab, job: string, body: object = {}, headers: Record<string, string> = {}) =>
  lab.api.send(lab.operator, 'POST', `/api/v1/jobs/${job}/approve`, { body, headers })

export const cellsOf = (cells: unknown): Fields =>
  Object.fromEntries((cells as { column: string; value: unknown }[]).map(({ column, value }) => [column, value]))

/** By RFC 4180; an empty field without quotes is null. An apostrophe that was put before a text is taken away. */
export function readCsv(text: string): (string | null)[][] {
  const rows: (string | null)[][] = [[]]
  const fields = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/gy
  for (let found = fields.exec(text); found !== null && fields.lastIndex <= text.length; found = fields.exec(text)) {
    const [whole, quoted, plain = '', end] = found
    if (whole === '') break
    const value = quoted?.replaceAll('""', '"') ?? (plain === '' ? null : plain)
    rows.at(-1)?.push(value === null ? null : value.replace(/^'/, ''))
    if (end === '\r\n') rows.push([])
  }
  return rows.slice(0, -1)
}
