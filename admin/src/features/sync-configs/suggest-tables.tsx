import { Button, Checkbox, Group, Stack, Table as Grid, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useMemo, useState } from 'react'
import { api, body } from '#api/client.ts'
import type { Table } from '#features/sync-configs/document.ts'
import { suggestedTable } from '#features/sync-configs/mapping.ts'
import { strengthOf } from '#features/sync-configs/suggested.tsx'
import { plural } from '#lib/format.ts'
import { Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

interface SuggestTablesProps {
  readonly source: string
  readonly target: string
  /** Tables that the target lacks are made, and can be chosen too. */
  readonly makesMissing: boolean
  readonly onMakeMissing: () => void
  /** Null: nothing is said, so that all tables of both sides take part. */
  readonly onChange: (tables: readonly Table[] | null) => void
}

interface Offered {
  readonly name: string
  readonly table: Table
  /** Null where nobody has compared the two. */
  readonly one: Suggested | null
  readonly score: number
}

/** Below this a pair is not ticked for anybody. */
const TICKED = 0.5

/** Which table goes where, as names, types and rows of both sides suggest it. */
export function SuggestTables({ source, target, makesMissing, onMakeMissing, onChange }: SuggestTablesProps) {
  const suggestions = useQuery({
    queryKey: ['sync-configs', 'suggest-tables', source, target],
    queryFn: () =>
      body(
        api.POST('/api/v1/sync-configs/suggest', {
          body: { source_datasource_id: source, target_datasource_id: target, refine: false },
        }),
      ),
    staleTime: 60_000,
    retry: false,
  })
  const { data } = suggestions
  const offered = useMemo(
    (): readonly Offered[] => [
      ...(data?.tables ?? []).map((one) => ({ name: one.source, table: suggestedTable(one), one, score: one.score })),
      ...(data?.left_out ?? []).map((one) => ({
        name: one.source,
        table: { source: one.source, ...(one.target === one.source ? {} : { target: one.target }) },
        one: null,
        score: 1,
      })),
      ...(makesMissing ? (data?.unmatched ?? []) : []).map((name) => ({
        name,
        table: { source: name },
        one: null,
        // Where the target has nothing yet, what it is to get is all that there is.
        score: data?.tables.length === 0 && data.left_out.length === 0 ? 1 : 0,
      })),
    ],
    [data, makesMissing],
  )
  const [unticked, setUnticked] = useState<ReadonlySet<string>>(new Set())
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set())
  const isTicked = (name: string, score: number): boolean =>
    ticked.has(name) || (score >= TICKED && !unticked.has(name))
  const chosen = offered.filter(({ name, score }) => isTicked(name, score)).map(({ table }) => table)
  const said = JSON.stringify(chosen)
  useEffect(() => {
    onChange(data === undefined ? null : (JSON.parse(said) as Table[]))
  }, [said, data, onChange])
  const set = (name: string, isOn: boolean): void => {
    setTicked((now) => (isOn ? now.union(new Set([name])) : now.difference(new Set([name]))))
    setUnticked((now) => (isOn ? now.difference(new Set([name])) : now.union(new Set([name]))))
  }
  return (
    <Stack gap="sm" component="section" aria-label="Tables">
      <Group justify="space-between">
        <Title order={2}>Tables</Title>
        {offered.length > 0 && (
          <Text size="sm" className="quiet numbers" aria-live="polite">
            {chosen.length} of {plural(offered.length, 'table')} chosen
          </Text>
        )}
      </Group>
      {suggestions.error !== null && (
        <>
          <Problem error={suggestions.error} retry={() => void suggestions.refetch()} />
          <Text size="sm" className="quiet">
            Without suggestions every table that both sides have takes part; which ones can be chosen later.
          </Text>
        </>
      )}
      {suggestions.isPending && <Lines count={5} />}
      {data !== undefined && offered.length === 0 && (
        <Group gap="xs">
          <Text size="sm">No table of the target suits one of the source.</Text>
          {data.unmatched.length > 0 && (
            <Button variant="default" onClick={onMakeMissing}>
              Have the first run make {plural(data.unmatched.length, 'table')}
            </Button>
          )}
        </Group>
      )}
      {offered.length > 0 && <Pairs offered={offered} isTicked={isTicked} set={set} />}
      {!makesMissing && (data?.unmatched.length ?? 0) > 0 && (
        <Text size="sm" className="quiet">
          The target has none that suits: <span className="mono">{data?.unmatched.join(', ')}</span>
        </Text>
      )}
    </Stack>
  )
}

interface PairsProps {
  readonly offered: readonly Offered[]
  readonly isTicked: (name: string, score: number) => boolean
  readonly set: (name: string, isOn: boolean) => void
}

function Pairs({ offered, isTicked, set }: PairsProps) {
  const chosen = offered.filter(({ name, score }) => isTicked(name, score))
  return (
    <Grid aria-label="Tables that belong together" fz="sm" verticalSpacing={4}>
      <Grid.Thead>
        <Grid.Tr>
          <Grid.Th w={36}>
            <Checkbox
              size="xs"
              aria-label="All tables"
              checked={chosen.length === offered.length}
              indeterminate={chosen.length > 0 && chosen.length < offered.length}
              onChange={(event) => offered.forEach(({ name }) => set(name, event.currentTarget.checked))}
            />
          </Grid.Th>
          <Grid.Th>Source table</Grid.Th>
          <Grid.Th>Target table</Grid.Th>
          <Grid.Th>How likely</Grid.Th>
          <Grid.Th>Columns</Grid.Th>
        </Grid.Tr>
      </Grid.Thead>
      <Grid.Tbody>
        {offered.map(({ name, table, one, score }) => (
          <Grid.Tr key={name}>
            <Grid.Td>
              <Checkbox
                size="xs"
                aria-label={`Take ${name}`}
                checked={isTicked(name, score)}
                onChange={(event) => set(name, event.currentTarget.checked)}
              />
            </Grid.Td>
            <Grid.Td className="mono">{name}</Grid.Td>
            <Grid.Td className="mono">{table.target ?? name}</Grid.Td>
            <Grid.Td title={one?.reasons.join('; ')}>
              {one === null ? (
                <span className="quiet">made by the first run</span>
              ) : (
                `${score.toFixed(2)} ${strengthOf(score)}`
              )}
            </Grid.Td>
            <Grid.Td>{one !== null && columnsInWords(one, table)}</Grid.Td>
          </Grid.Tr>
        ))}
      </Grid.Tbody>
    </Grid>
  )
}

type Suggested = Parameters<typeof suggestedTable>[0]

function columnsInWords({ fields, unmapped }: Suggested, table: Table): string {
  const how = table.field_mappings === undefined ? 'of the same names' : 'mapped one by one'
  const rest = unmapped.source.length === 0 ? '' : `, ${unmapped.source.length} of the source left over`
  return `${fields.length} ${how}${rest}`
}
