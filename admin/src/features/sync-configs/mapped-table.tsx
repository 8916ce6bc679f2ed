import { useDebouncedValue } from '@mantine/hooks'
import { useMutation, useQuery } from '@tanstack/react-query'
import { createContext, use, useMemo, type ReactNode } from 'react'
import { api, body, type Schemas } from '#api/client.ts'
import type { Table } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { fieldsOf, isNews, setField, withFields, type Column, type Field } from '#features/sync-configs/mapping.ts'
import { judgementQuery, type TableDescription, type TableValidation } from '#features/sync-configs/queries.ts'
import { changeTable, indexOfTable, tableOf } from '#features/sync-configs/tables.ts'
import { must } from '#lib/must.ts'

export type Judged = TableValidation['fields'][number]
export type Suggested = Schemas['SuggestedField']

/** One table whose mapping is edited: its columns on both sides, its fields, and what is known of them. */
export interface MappedTable {
  readonly name: string
  readonly target: string
  readonly table: Table
  readonly sourceColumns: readonly Column[]
  readonly targetColumns: readonly Column[]
  readonly fields: readonly Field[]
  /** The fields are told by the names of the columns alone. */
  readonly byName: boolean
  readonly setField: (target: string, field: Field | null) => void
  readonly setFields: (fields: readonly Field[]) => void
  readonly matchByName: () => void
  /** What is wrong with a field, as the service said when it was asked to save. */
  readonly problemOf: (target: string) => string | undefined
  readonly judged: ReadonlyMap<string, Judged>
  readonly judgement: {
    readonly data: TableValidation | undefined
    readonly error: Error | null
    readonly isFetching: boolean
  }
  readonly suggest: ReturnType<typeof useSuggest>
  /** The best suggestion for a column of the target that differs from what is there. */
  readonly suggested: ReadonlyMap<string, Suggested>
}

const Context = createContext<MappedTable | null>(null)

export function useMappedTable(): MappedTable {
  return must(use(Context), 'table around this')
}

/** So long after the last change a mapping is judged, or tried on rows. */
export const SETTLED_MS = 500

interface MappedTableProviderProps {
  readonly name: string
  readonly source: TableDescription | undefined
  readonly target: TableDescription | undefined
  readonly children: ReactNode
}

export function MappedTableProvider({ name, source, target, children }: MappedTableProviderProps) {
  const { document, change, mayEdit, problemAt } = useDraft()
  const table = tableOf(document, name)
  const sourceColumns = source?.columns ?? NONE
  const targetColumns = target?.columns ?? NONE
  const fields = useMemo(() => fieldsOf(table, sourceColumns, targetColumns), [table, sourceColumns, targetColumns])
  const [settled] = useDebouncedValue(document, SETTLED_MS)
  const judgement = useQuery(
    judgementQuery({ document: settled, table: name, enabled: mayEdit && target !== undefined }),
  )
  const suggest = useSuggest(table)
  const judged = useMemo(() => new Map(judgement.data?.fields.map((one) => [one.target, one])), [judgement.data])
  const suggested = useMemo(() => newSuggestions(suggest.data, fields), [suggest.data, fields])
  const write = (next: (fields: readonly Field[]) => readonly Field[]): void =>
    change((now) => changeTable(now, name, (one) => withFields(one, next(fieldsOf(one, sourceColumns, targetColumns)))))
  const at = indexOfTable(document, name)
  const mapped: MappedTable = {
    name,
    target: table.target ?? name,
    table,
    sourceColumns,
    targetColumns,
    fields,
    byName: table.field_mappings === undefined,
    setField: (to, field) => write((now) => setField(now, to, field)),
    setFields: (next) => write(() => next),
    matchByName: () => change((now) => changeTable(now, name, (one) => withFields(one, []))),
    problemOf: (to) =>
      problemAt(`tables/${at}/field_mappings/${(table.field_mappings ?? []).findIndex((one) => one.target === to)}`, {
        within: true,
      }),
    judged,
    judgement,
    suggest,
    suggested,
  }
  return <Context value={mapped}>{children}</Context>
}

const NONE: readonly Column[] = []

/** Asks what could feed each column of the target of one table. */
function useSuggest({ source, target }: Table) {
  const { document } = useDraft()
  const { source_datasource_id: from, target_datasource_id: to } = document
  return useMutation({
    meta: { shown: true },
    mutationFn: async () => {
      const wish = {
        source_datasource_id: from,
        target_datasource_id: to,
        tables: [{ source, target: target ?? source }],
      }
      return (await body(api.POST('/api/v1/sync-configs/suggest', { body: wish }))).tables[0]
    },
  })
}

function newSuggestions(
  answer: Schemas['SuggestedTable'] | undefined,
  fields: readonly Field[],
): ReadonlyMap<string, Suggested> {
  const now = new Map(fields.map((field) => [field.target, field]))
  const news = (answer?.fields ?? []).filter(({ mapping }) => isNews(now.get(mapping.target), mapping))
  return new Map(news.map((one) => [one.mapping.target, one]))
}
