import { Box, Button, Group, Stack, Text, Title } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { SETTLED_MS, useMappedTable } from '#features/sync-configs/mapped-table.tsx'
import { previewQuery, type MappingPreview } from '#features/sync-configs/queries.ts'
import { RowState } from '#features/sync-configs/row-state.tsx'
import { plural } from '#lib/format.ts'
import { CopyAs, curlOf, quote } from '#ui/copy.tsx'
import { Diff } from '#ui/diff.tsx'
import { Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import classes from './sync-configs.module.css'

const ROWS = 20

/** What the whole mapping makes of some rows of the source, beside what the target has. Nothing is written. */
export function PreviewRows() {
  const { name } = useMappedTable()
  const { base, document, changes } = useDraft()
  const [settled] = useDebouncedValue(document, SETTLED_MS)
  const preview = useQuery(previewQuery({ document: settled, table: name, limit: ROWS, enabled: true }))
  return (
    <Stack gap="xs" component="section" aria-label="On live rows">
      <Group justify="space-between">
        <Title order={2}>On live rows</Title>
        <Group gap="xs">
          <CopyAs
            curl={curlOf('POST', '/api/v1/sync-configs/preview', { config: document, table: name, limit: ROWS })}
            {...(changes === 0
              ? { cli: `syncline configs preview ${quote(base.name)} --table ${quote(name)} --limit ${ROWS}` }
              : {})}
          />
          <Button variant="default" loading={preview.isFetching} onClick={() => void preview.refetch()}>
            Read the rows again
          </Button>
        </Group>
      </Group>
      {preview.error !== null && <Problem error={preview.error} />}
      {preview.error === null && preview.data === undefined && <Lines count={6} />}
      {preview.error === null && preview.data !== undefined && (
        <Rows preview={preview.data} isOld={preview.isPlaceholderData} />
      )}
    </Stack>
  )
}

function Rows({ preview, isOld }: { readonly preview: MappingPreview; readonly isOld: boolean }) {
  const { rows, fields, notes } = preview
  if (rows.length === 0) return <Text size="sm">The source has no rows to try it on.</Text>
  const faults = rows.filter(({ fault }) => fault !== null).length
  const micros = Math.round(rows.reduce((sum, row) => sum + row.micros, 0) / rows.length)
  return (
    <>
      <Text size="sm" className="numbers" aria-live="polite">
        {plural(rows.length, 'row')} of the source
        {faults > 0 && `, of which ${faults} cannot be carried`}
        {micros > 0 && `, ${micros} µs a row`}. The old value of the target is struck through.
      </Text>
      <Box
        className={classes['wide'] ?? ''}
        tabIndex={0}
        component="section"
        aria-label="Rows, before and after"
        opacity={isOld ? 0.6 : 1}
      >
        <table className={classes['grid']} aria-label="What the mapping makes of live rows" aria-busy={isOld}>
          <thead>
            <tr>
              <th>Row</th>
              {fields.map(({ target, type }) => (
                <th key={target}>
                  <span className="mono">{target}</span> <span className="quiet">{type}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, i) => (
              <tr key={i}>
                <td>
                  <RowState row={row} />
                </td>
                {fields.map(({ target }, at) => (
                  <td key={target} data-wrong={row.fault?.column === target || undefined}>
                    {row.after !== null && (
                      <Diff before={row.before === null ? undefined : row.before[at]} after={row.after[at]} />
                    )}
                    {row.after === null && row.fault?.column === target && row.fault.value}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Box>
      {notes.map((note) => (
        <Text key={note} size="sm" className="quiet">
          {note}
        </Text>
      ))}
    </>
  )
}
