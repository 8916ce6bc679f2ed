import { Button, Checkbox, Group, Radio, Select, Skeleton, Stack, Table, Text } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { ApiProblem, type Schemas } from '#api/client.ts'
import {
  manyPath,
  placeFlag,
  placeOf,
  resolveMany,
  type ConflictGroup,
  type Filter,
  type ManyRequest,
  type Place,
} from '#features/conflicts/queries.ts'
import { useEnds } from '#features/conflicts/use-ends.ts'
import { KINDS, tableName } from '#features/conflicts/words.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'
import { formatCount, plural } from '#lib/format.ts'
import { CopyAs, curlOf, quote } from '#ui/copy.tsx'
import { Dialog } from '#ui/dialog.tsx'
import { Problem } from '#ui/problem.tsx'

type Take = ManyRequest['take']
type Selected = Schemas['ResolvedConflicts']

interface BulkProps {
  /** What was looked at when this was asked for. */
  readonly filter: Filter
  /** Of these, by sync: one decision is about the conflicts of one. */
  readonly groups: readonly ConflictGroup[]
  readonly onClose: () => void
  readonly onDecided: (text: string, job: string | null) => void
}

/** Decides about all conflicts that a filter lets through, after a look at how many these are and of which tables. */
export function BulkDialog({ filter, groups, onClose, onDecided }: BulkProps) {
  const places = [...new Map(groups.map((group) => [JSON.stringify(placeOf(group)), placeOf(group)]))]
  const [chosen, setChosen] = useState(places[0]?.[0] ?? '')
  const place = places.find(([name]) => name === chosen)?.[1]
  const configs = useQuery(configsQuery).data ?? []
  const nameOf = (one: Place): string =>
    'config' in one ? (configs.find(({ id }) => id === one.config)?.name ?? one.config) : `the job ${one.job}`
  return (
    <Dialog onClose={onClose} size="lg" title="Decide all of them">
      <Stack gap="sm">
        {places.length > 1 && (
          <Select
            label="Of which sync"
            data={places.map(([name, one]) => ({ value: name, label: nameOf(one) }))}
            value={chosen}
            onChange={(next) => setChosen(next ?? '')}
          />
        )}
        {place !== undefined && <Choose key={chosen} {...{ filter, place, onClose, onDecided }} />}
      </Stack>
    </Dialog>
  )
}

function Choose({ filter, place, onClose, onDecided }: Omit<BulkProps, 'groups'> & { readonly place: Place }) {
  const client = useQueryClient()
  const ends = useEnds(place)
  const [take, setTake] = useState<Take | ''>('')
  const [remember, setRemember] = useState(false)
  const [anyFields, setAnyFields] = useState(false)
  const which = filterOf(filter)
  const preview = useQuery({
    queryKey: ['conflicts', 'preview', place, which],
    queryFn: () => resolveMany(place, { take: 'skip', filter: which, dry_run: true }, filter.job),
    staleTime: Infinity,
    gcTime: 0,
  })
  const rule = remember ? { remember, ...(anyFields ? { remember_any_fields: true } : {}) } : {}
  const decide = useMutation({
    meta: { shown: true },
    mutationFn: ({ how, seen }: { how: Take; seen: Selected }) => {
      const { conflicts, digest } = seen
      const request = { take: how, filter: which, expect: conflicts, digest, start: false, ...rule }
      return resolveMany(place, request, filter.job)
    },
    onSuccess: async ({ conflicts, job_id: job }) => {
      await client.invalidateQueries({ queryKey: ['conflicts'] })
      onDecided(`${plural(conflicts, 'conflict')} decided.`, job)
      onClose()
    },
  })
  const seen = preview.data
  const moved = decide.error instanceof ApiProblem && decide.error.code === 'version_conflict'
  const request = { take: take === '' ? 'source' : take, filter: which, start: false, ...rule }
  return (
    <>
      {preview.error !== null && <Problem error={preview.error} retry={() => void preview.refetch()} />}
      {seen === undefined ? preview.error === null && <Skeleton height={88} /> : <Preview seen={seen} />}
      <Radio.Group label="For each of them" value={take} onChange={(next) => setTake(next as Take)}>
        <Stack gap={10} mt={4}>
          <Radio size="xs" value="source" label="Take the source: the target gets its row, or loses the one it has" />
          <Radio
            size="xs"
            value="target"
            label={
              ends.twoWay
                ? 'Take the target: the source gets its row, or loses the one it has'
                : 'Take the target: it stays as it is'
            }
          />
          <Radio size="xs" value="skip" label="Leave both as they are" />
        </Stack>
      </Radio.Group>
      {'config' in place && (
        <Stack gap={10}>
          <Checkbox
            size="xs"
            label="Always do so: runs decide later ones of the same table and kind by themselves"
            checked={remember}
            onChange={(event) => setRemember(event.currentTarget.checked)}
          />
          {remember && (
            <Checkbox
              size="xs"
              ml="lg"
              label="Whichever columns both sides changed, not only the same ones"
              checked={anyFields}
              onChange={(event) => setAnyFields(event.currentTarget.checked)}
            />
          )}
        </Stack>
      )}
      {moved ? (
        <Stack gap="xs" role="alert">
          <Text size="sm">{decide.error?.message} Nothing was decided.</Text>
          <Group>
            <Button
              variant="default"
              onClick={() => {
                decide.reset()
                void preview.refetch()
              }}
            >
              Look again
            </Button>
          </Group>
        </Stack>
      ) : (
        decide.error !== null && <Problem error={decide.error} />
      )}
      <Group justify="flex-end" gap="xs">
        <CopyAs
          cli={cliOf(place, filter, { take: request.take, remember, anyFields })}
          curl={curlOf('POST', manyPath(place), withJob(place, request, filter.job))}
        />
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button
          loading={decide.isPending}
          disabled={take === '' || seen === undefined || seen.conflicts === 0 || moved}
          onClick={() => {
            if (take !== '' && seen !== undefined) decide.mutate({ how: take, seen })
          }}
        >
          {seen === undefined ? 'Decide' : `Decide ${plural(seen.conflicts, 'conflict')}`}
        </Button>
      </Group>
    </>
  )
}

function Preview({ seen }: { readonly seen: Selected }) {
  return (
    <div>
      <Text size="sm">
        This is about {plural(seen.conflicts, 'conflict')}. Nothing is written until the decisions are carried out.
      </Text>
      <Table verticalSpacing={4} mt="xs" aria-label="What it is about">
        <Table.Tbody>
          {seen.tables.map(({ target, conflicts }) => (
            <Table.Tr key={tableName(target)}>
              <Table.Td className="mono">{tableName(target)}</Table.Td>
              <Table.Td ta="right">{formatCount(conflicts)}</Table.Td>
            </Table.Tr>
          ))}
          {seen.kinds.map(({ kind, conflicts }) => (
            <Table.Tr key={kind}>
              <Table.Td>{KINDS[kind]}</Table.Td>
              <Table.Td ta="right">{formatCount(conflicts)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  )
}

type Which = NonNullable<ManyRequest['filter']>

/** What the page shows, as a decision names it; what is pending is what is open. */
function filterOf({ status, table, kind, field, fields, key }: Filter): Which {
  const decided = status === 'resolved' || status === 'applied' ? [status] : ['open']
  return {
    status: decided as NonNullable<Which['status']>,
    ...(table === undefined ? {} : { table }),
    ...(kind === undefined ? {} : { kind: kind.split(',') as NonNullable<Which['kind']> }),
    ...(field === undefined ? {} : { field }),
    ...(fields === undefined ? {} : { fields: JSON.parse(fields) as string[] }),
    ...(key === undefined ? {} : { key }),
  }
}

function withJob(place: Place, request: ManyRequest, job: string | undefined): object {
  return 'job' in place || job === undefined ? request : { ...request, filter: { ...request.filter, job } }
}

interface Given {
  readonly take: Take
  readonly remember: boolean
  readonly anyFields: boolean
}

/** Nothing where the command line cannot say the same: it knows one column, not these very ones, and one of sync and job. */
function cliOf(place: Place, filter: Filter, { take, remember, anyFields }: Given): string | undefined {
  const { status, table, kind, field, fields, key, job } = filter
  if (fields !== undefined || (job !== undefined && 'config' in place)) return undefined
  const named = Object.entries({ table, kind, field, key }).flatMap(([name, text]) =>
    text === undefined ? [] : [`--${name}`, text],
  )
  const words = [
    ...placeFlag(place),
    ...(named.length === 0 ? ['--all'] : named),
    ...(status === 'resolved' || status === 'applied' ? ['--status', status] : []),
    '--take',
    take,
    ...(remember ? ['--remember'] : []),
    ...(remember && anyFields ? ['--any-fields'] : []),
    '--no-start',
  ]
  return ['syncline conflicts resolve', ...words.map(quote)].join(' ')
}
