import { Button, Group, Stack, Text, TextInput } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useFreshKey } from '#app/fresh-key.tsx'
import {
  carryOut,
  carryOutPath,
  placeFlag,
  placeOf,
  summaryQuery,
  type ConflictGroup,
  type Consent,
  type Place,
} from '#features/conflicts/queries.ts'
import { WayOut } from '#features/datasources/let-write.tsx'
import { useEnds } from '#features/conflicts/use-ends.ts'
import { tableName } from '#features/conflicts/words.ts'
import { plural } from '#lib/format.ts'
import { CopyAs, curlOf, quote } from '#ui/copy.tsx'
import { Dialog } from '#ui/dialog.tsx'
import { Environment } from '#ui/mark.tsx'
import { Answer } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

interface CarryOutProps {
  readonly config: string | undefined
  readonly onClose: () => void
  /** The run that was started, or the one that is under way. */
  readonly onRun: (job: string) => void
}

/** Has decisions carried out, sync by sync: what is written is named first. */
export function CarryOutDialog({ config, onClose, onRun }: CarryOutProps) {
  const query = useQuery(summaryQuery({ status: 'resolved', ...(config === undefined ? {} : { config }) }))
  return (
    <Dialog onClose={onClose} size="lg" title="Carry out decisions">
      <Answer query={query}>
        {({ groups }) => (
          <Stack gap="lg" className="lines">
            {[...Map.groupBy(groups, (group) => JSON.stringify(placeOf(group))).entries()].map(([name, some]) => (
              <OfSync key={name} groups={some} onClose={onClose} onRun={onRun} />
            ))}
          </Stack>
        )}
      </Answer>
    </Dialog>
  )
}

interface OfSyncProps extends Pick<CarryOutProps, 'onClose' | 'onRun'> {
  /** All of one sync. */
  readonly groups: readonly ConflictGroup[]
}

function OfSync({ groups, onClose, onRun }: OfSyncProps) {
  const [first] = groups
  const place: Place = first === undefined ? { job: '' } : placeOf(first)
  const ends = useEnds(place)
  const { target, source, config, twoWay } = ends
  const [typed, setTyped] = useState('')
  const client = useQueryClient()
  const withFreshKey = useFreshKey()
  const isGuarded = target?.protected === true
  const isGuardedBack = twoWay && source?.protected === true
  const name = target === undefined ? '' : target.origin === 'ad_hoc' ? target.database : target.name
  const consent: Consent = {
    ...(isGuarded ? { allow_protected_write: true } : {}),
    ...(isGuardedBack ? { allow_protected_source_write: true } : {}),
    ...(isGuarded || isGuardedBack ? { confirm: typed } : {}),
  }
  const start = useMutation({
    meta: { shown: true },
    mutationFn: () => withFreshKey(() => carryOut(place, consent)),
    onSuccess: async (answer) => {
      await client.invalidateQueries({ queryKey: ['conflicts'] })
      const job = answer.job_id ?? answer.active_job_id
      if (job !== null) onRun(job)
      if (answer.job_id !== null) onClose()
    },
  })
  const total = groups.reduce((sum, { conflicts }) => sum + conflicts, 0)
  const tables = [...Map.groupBy(groups, ({ target: table }) => tableName(table))].map(
    ([table, some]) => `${table} (${some.reduce((sum, { conflicts }) => sum + conflicts, 0)})`,
  )
  const words = [...placeFlag(place), ...(isGuarded ? ['--allow-protected-write', '--confirm', name] : [])]
  return (
    <Stack gap="xs" pt="xs">
      <Group gap="xs">
        <Text fw={600}>{config?.name ?? ('job' in place ? place.job : place.config)}</Text>
        {target !== undefined && (
          <Text size="sm" component="span">
            writes to <span className="mono">{target.name}</span> <Environment name={target.effective_environment} />
            {twoWay && source !== undefined && (
              <>
                {' '}
                and <span className="mono">{source.name}</span> <Environment name={source.effective_environment} />
              </>
            )}
          </Text>
        )}
      </Group>
      <Text size="sm">
        {plural(total, 'decision')} about rows of <span className="mono">{tables.join(', ')}</span>. The run looks at
        these tables and brings what else has changed in them as well.
      </Text>
      {(isGuarded || isGuardedBack) && (
        <TextInput
          label={`Type ${name} to write to what is protected`}
          value={typed}
          autoComplete="off"
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
      )}
      {start.error !== null && <Problem error={start.error} />}
      <WayOut error={start.error} of={twoWay ? [target, source] : [target]} />
      {start.data !== undefined && start.data.note !== null && (
        <Text size="sm" role="alert">
          {start.data.note}
        </Text>
      )}
      <Group justify="flex-end" gap="xs">
        <CopyAs
          cli={['syncline conflicts carry-out', ...words.map(quote)].join(' ')}
          curl={curlOf('POST', carryOutPath(place), consent)}
        />
        <Button
          loading={start.isPending}
          disabled={(isGuarded || isGuardedBack) && typed !== name}
          onClick={() => start.mutate()}
        >
          Carry out {plural(total, 'decision')}
        </Button>
      </Group>
    </Stack>
  )
}
