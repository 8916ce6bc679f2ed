import { Button, Group, SegmentedControl, Select, Stack, Text } from '@mantine/core'
import { useMutation, useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useMemo, useState } from 'react'
import { api, body } from '#api/client.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { FieldEditor } from '#features/sync-configs/field-editor.tsx'
import { FieldsTable } from '#features/sync-configs/fields-table.tsx'
import { MappedTableProvider, useMappedTable } from '#features/sync-configs/mapped-table.tsx'
import { accept, fillOf, unmappedOf } from '#features/sync-configs/mapping.ts'
import { PreviewRows } from '#features/sync-configs/preview-rows.tsx'
import { tablesQuery, type TableDescription } from '#features/sync-configs/queries.ts'
import { isStrong } from '#features/sync-configs/suggested.tsx'
import { mappedNames, tableRowsOf } from '#features/sync-configs/table-rows.ts'
import { tableOf } from '#features/sync-configs/tables.ts'
import { useShow, useShown } from '#features/sync-configs/use-shown.ts'
import { formatTableName } from '#lib/table-name.ts'
import { formatCount, plural } from '#lib/format.ts'
import { CopyAs, curlOf, quote } from '#ui/copy.tsx'
import { SideDialog } from '#ui/dialog.tsx'
import { Mark } from '#ui/mark.tsx'
import { Answer, Empty, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

// The canvas is large, and whoever edits by the table does without it.
const Canvas = lazy(async () => ({ default: (await import('#features/sync-configs/canvas.tsx')).Canvas }))

/** Which column feeds which: by lines or by a table, over the same document. */
export function MappingTab() {
  const { document } = useDraft()
  const source = useQuery(tablesQuery(document.source_datasource_id))
  const target = useQuery(tablesQuery(document.target_datasource_id))
  return (
    <Answer query={source}>
      {(from) => <Answer query={target}>{(to) => <Tables source={from} target={to} />}</Answer>}
    </Answer>
  )
}

interface TablesProps {
  readonly source: readonly TableDescription[]
  readonly target: readonly TableDescription[]
}

function Tables({ source, target }: TablesProps) {
  const { document } = useDraft()
  const { table: wanted } = useShown()
  const show = useShow()
  const names = useMemo(() => mappedNames(tableRowsOf(document, source, target)), [document, source, target])
  const name = wanted !== undefined && names.includes(wanted) ? wanted : names[0]
  if (name === undefined) {
    return (
      <Empty
        title="No table takes part yet"
        action={<Button onClick={() => show({ tab: 'tables' })}>Choose tables</Button>}
      >
        Columns are mapped table by table: choose at least one first.
      </Empty>
    )
  }
  const to = tableOf(document, name).target ?? name
  const find = (tables: readonly TableDescription[], wish: string): TableDescription | undefined =>
    tables.find(({ table }) => formatTableName(table) === wish)
  return (
    <MappedTableProvider key={name} name={name} source={find(source, name)} target={find(target, to)}>
      <Stack gap="md">
        <Tools names={names} />
        {find(target, to) === undefined ? <NotThere target={to} /> : <Mapping />}
      </Stack>
    </MappedTableProvider>
  )
}

function NotThere({ target }: { readonly target: string }) {
  return (
    <Empty title={`The target has no table ${target}`}>
      With the schema policy “Add columns, make tables” the first run makes it as the source has it. Columns can be
      mapped one by one once it is there.
    </Empty>
  )
}

function Tools({ names }: { readonly names: readonly string[] }) {
  const { name, target, suggest, suggested, byName, matchByName, setFields, fields } = useMappedTable()
  const { base, mayEdit, changes } = useDraft()
  const { view = 'lines' } = useShown()
  const show = useShow()
  const strong = [...suggested.values()].filter(isStrong)
  const acceptAll = (): void => {
    const taken = new Map(strong.map(({ mapping }) => [mapping.target, mapping]))
    const kept = fields.filter((field) => !taken.has(field.target))
    const now = new Map(fields.map((field) => [field.target, field]))
    setFields([...kept, ...[...taken].map(([to, mapping]) => accept(now.get(to), mapping))])
  }
  const wish = {
    source_datasource_id: base.source_datasource_id,
    target_datasource_id: base.target_datasource_id,
    tables: [{ source: name, target }],
  }
  return (
    <>
      <Group justify="space-between">
        <Group gap="xs">
          <Select
            aria-label="Table"
            data={[...names]}
            value={name}
            searchable
            onChange={(value) => show({ table: value ?? undefined, field: undefined })}
            w={200}
            classNames={{ input: 'mono' }}
          />
          <SegmentedControl
            aria-label="Edit by"
            size="xs"
            data={[
              { value: 'lines', label: 'Lines' },
              { value: 'table', label: 'Table' },
            ]}
            value={view}
            onChange={(value) => show({ view: value })}
          />
        </Group>
        {mayEdit && (
          <Group gap="xs">
            {!byName && (
              <Button variant="default" onClick={matchByName}>
                Match by name
              </Button>
            )}
            {strong.length > 0 && (
              <Button onClick={acceptAll}>Accept {plural(strong.length, 'strong suggestion')}</Button>
            )}
            <Button variant="default" loading={suggest.isPending} onClick={() => suggest.mutate()}>
              Suggest
            </Button>
            <CopyAs
              curl={curlOf('POST', '/api/v1/sync-configs/suggest', wish)}
              {...(changes === 0
                ? { cli: `syncline configs suggest ${quote(base.name)} --table ${quote(name)} --yaml` }
                : {})}
            />
          </Group>
        )}
      </Group>
      {suggest.error !== null && <Problem error={suggest.error} />}
      {suggest.data !== undefined && suggested.size === 0 && (
        <Text size="sm" aria-live="polite">
          The suggestions say what the mapping says already.
        </Text>
      )}
      {suggest.data?.notes.map((note) => (
        <Text key={note} size="sm" className="quiet">
          {note}
        </Text>
      ))}
    </>
  )
}

function Mapping() {
  const { view = 'lines', field: opened } = useShown()
  const show = useShow()
  const { byName, targetColumns } = useMappedTable()
  const { mayEdit } = useDraft()
  const [tries, setTries] = useState(false)
  const open = (field: string | undefined): void => show({ field })
  const column = targetColumns.find(({ name }) => name === opened)
  return (
    <>
      <Standing />
      {view === 'table' ? (
        <FieldsTable onOpen={open} />
      ) : (
        <Suspense fallback={<Lines count={8} />}>
          <Canvas onOpen={open} />
        </Suspense>
      )}
      {byName && mayEdit && (
        <Text size="sm" className="quiet">
          Columns of the same name belong together. The first change lists every field by itself; columns that are added
          to both sides later are then not carried until they are mapped.
        </Text>
      )}
      <Unmapped />
      {mayEdit &&
        (tries ? (
          <PreviewRows />
        ) : (
          <Group>
            <Button variant="default" onClick={() => setTries(true)}>
              Try it on live rows
            </Button>
          </Group>
        ))}
      {column !== undefined && (
        <SideDialog
          onClose={() => open(undefined)}
          size={560}
          title={
            <Group gap="xs">
              <span className="mono">{column.name}</span>
              <Text component="span" size="sm" className="quiet">
                {column.type}
              </Text>
            </Group>
          }
        >
          <FieldEditor key={column.name} column={column} />
        </SideDialog>
      )}
    </>
  )
}

/** What the service says of the mapping as it stands. */
function Standing() {
  const { judgement, fields, targetColumns } = useMappedTable()
  const { mayEdit } = useDraft()
  const { data, error } = judgement
  if (!mayEdit) return null
  if (error !== null) return <Problem error={error} />
  if (data === undefined) return <Mark tone="running">looking at the types of both sides</Mark>
  const impossible = data.fields.filter(({ verdict }) => verdict === 'impossible').length
  const checked = data.fields.filter(({ verdict }) => verdict === 'checked').length
  return (
    <Group gap="md" aria-live="polite">
      <Text size="sm" className="numbers">
        {fields.length} of {plural(targetColumns.length, 'column')} of the target are fed.
      </Text>
      {impossible > 0 && <Mark tone="failed">{`${plural(impossible, 'pair')} of types cannot be carried`}</Mark>}
      {checked > 0 && <Mark tone="person">{`${plural(checked, 'pair')} looked at value by value`}</Mark>}
      {impossible + checked === 0 && data.problems.length === 0 && (
        <Mark tone="done">every pair of types is lossless</Mark>
      )}
      {data.problems.map(({ code, message }) => (
        <Mark key={`${code} ${message}`} tone="failed">
          {message}
        </Mark>
      ))}
      {checked + impossible > 0 && <Misfits />}
    </Group>
  )
}

/** Looks at the rows of the source, and says how many of them hold a value that its field cannot take. */
function Misfits() {
  const { name } = useMappedTable()
  const { document } = useDraft()
  const count = useMutation({
    mutationFn: () => body(api.POST('/api/v1/sync-configs/validate', { body: { config: document, table: name } })),
  })
  const misfitting = (count.data?.fields ?? []).filter(({ misfits }) => misfits !== null && misfits.rows > 0)
  return (
    <>
      <Button variant="default" size="compact-xs" loading={count.isPending} onClick={() => count.mutate()}>
        Count the rows that do not fit
      </Button>
      {count.data?.counted && misfitting.length === 0 && (
        <Mark tone="done">{`all ${plural(count.data.counted.rows, 'row')} fit`}</Mark>
      )}
      {misfitting.map(({ target, misfits }) => (
        <Mark key={target} tone="failed">
          {`${target}: ${formatCount(misfits?.rows ?? 0)} of ${plural(count.data?.counted?.rows ?? 0, 'row')} ${
            misfits?.rows === 1 ? 'does' : 'do'
          } not fit${keysInWords(misfits?.keys ?? [])}`}
        </Mark>
      ))}
    </>
  )
}

function keysInWords(keys: readonly (readonly (string | null)[])[]): string {
  return keys.length === 0 ? '' : `, such as ${keys.map((key) => key.join(' ')).join(', ')}`
}

function Unmapped() {
  const { fields, sourceColumns, targetColumns, judged } = useMappedTable()
  const { source, target } = unmappedOf(fields, sourceColumns, targetColumns)
  // What expressions and code read is known to the service alone.
  const read = new Set([...judged.values()].flatMap(({ columns }) => columns))
  const unread = source.filter((name) => !read.has(name))
  if (unread.length + target.length === 0) return null
  return (
    <Stack gap={4}>
      {unread.length > 0 && (
        <Text size="sm">
          <span className="quiet">Not carried from the source: </span>
          <span className="mono">{unread.join(', ')}</span>
        </Text>
      )}
      {target.length > 0 && (
        <Text size="sm">
          <span className="quiet">Not fed in the target: </span>
          {target.map((column, i) => (
            <span key={column.name}>
              {i > 0 && ', '}
              <span className="mono">{column.name}</span> <span className="quiet">({fillOf(column)})</span>
            </span>
          ))}
        </Text>
      )}
    </Stack>
  )
}
