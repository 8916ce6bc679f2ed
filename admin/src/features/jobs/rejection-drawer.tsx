import { Button, Checkbox, Group, Stack, Text, TextInput } from '@mantine/core'
import { queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ApiProblem, body, type Schemas } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { tableWords } from '#features/jobs/job-words.ts'
import type { Job } from '#features/jobs/queries.ts'
import { RejectionStatus } from '#features/jobs/rejection-status.tsx'
import { ReplayDialog } from '#features/jobs/replay-dialog.tsx'
import { cliOf, CopyAs, curlOf } from '#ui/copy.tsx'
import { SideDialog } from '#ui/dialog.tsx'
import { Answer } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { Value } from '#ui/value.tsx'
import { say } from '#ui/say.ts'
import classes from './jobs.module.css'

type Rejection = Schemas['Rejection']

function rejectionQuery(id: string) {
  return queryOptions({
    queryKey: ['jobs', 'rejection', id],
    queryFn: () => body(api.GET('/api/v1/rejections/{id}', { params: { path: { id } } })),
  })
}

interface RejectionDrawerProps {
  readonly id: string
  readonly job: Job
  readonly onClose: () => void
}

/** One row that was set aside: what the source has, what was to be written, and the values to write instead. */
export function RejectionDrawer({ id, job, onClose }: RejectionDrawerProps) {
  const query = useQuery(rejectionQuery(id))
  return (
    <SideDialog onClose={onClose} title="Rejected row" size="lg">
      <Answer query={query}>
        {(found) => <RejectionView key={found.version} rejection={found} job={job} onClose={onClose} />}
      </Answer>
    </SideDialog>
  )
}

interface ViewProps {
  readonly rejection: Rejection
  readonly job: Job
  readonly onClose: () => void
}

function RejectionView({ rejection, job, onClose }: ViewProps) {
  const may = useMay('operator')
  const [replaying, setReplaying] = useState(false)
  const [isTouched, setTouched] = useState(false)
  const { target, key, reason, code, column, status, value, values_shown: shown, note } = rejection
  const isSettled = status === 'replayed' || status === 'gone'
  return (
    <Stack gap="md">
      <div>
        <Group gap="sm">
          <RejectionStatus status={status} />
          <span className="mono">
            {tableWords(target)} {key.map((part) => part ?? 'NULL').join(', ')}
          </span>
        </Group>
        <Text size="sm" mt={4}>
          {reason} <span className="quiet mono">{code}</span>
        </Text>
        {column !== null && value !== null && (
          <Text size="sm" component="div">
            <span className="mono">{column}</span> was <Value text={value} />
          </Text>
        )}
        {note !== null && <Text size="sm">{note}</Text>}
      </div>
      {shown ? (
        may && !isSettled && rejection.op !== 'delete' ? (
          <EditForm rejection={rejection} onTouch={setTouched} />
        ) : (
          <Cells title="What was to be written" cells={rejection.edited ?? rejection.mapped} />
        )
      ) : (
        <Text size="sm" className="quiet">
          Values of rows are for operators.
        </Text>
      )}
      <Cells title="What the source had" cells={rejection.row} />
      {may && !isSettled && (
        <Group gap="xs" justify="flex-end">
          {status !== 'dismissed' && <Dismiss rejection={rejection} onClose={onClose} />}
          <Button
            disabled={isTouched}
            title={isTouched ? 'Keep the values first: a replay writes what is kept.' : undefined}
            onClick={() => setReplaying(true)}
          >
            Replay this row
          </Button>
        </Group>
      )}
      {replaying && <ReplayDialog job={job} ids={[rejection.id]} count={1} onClose={() => setReplaying(false)} />}
    </Stack>
  )
}

interface CellsProps {
  readonly title: string
  readonly cells: Rejection['row']
}

function Cells({ title, cells }: CellsProps) {
  if (cells === null) return null
  return (
    <div>
      <Text size="sm" fw={600} mb={4}>
        {title}
      </Text>
      <dl className={classes['cells']}>
        {cells.map(({ column, value }) => (
          <div key={column}>
            <dt className="mono">{column}</dt>
            <dd>
              <Value text={value} />
            </dd>
          </div>
        ))}
      </dl>
    </div>
  )
}

type Values = Readonly<Record<string, string | null>>

/** What stands in the fields: what somebody gave before, else what the mapping made, else what the source has. */
function valuesOf({ fields, edited, mapped, row }: Rejection): Values {
  const of = (name: string): string | null => {
    for (const cells of [edited, mapped, row]) {
      const cell = cells?.find(({ column }) => column === name)
      if (cell !== undefined) return cell.value
    }
    return null
  }
  return Object.fromEntries(fields.map(({ name }) => [name, of(name)]))
}

interface EditFormProps {
  readonly rejection: Rejection
  /** Whether there are values that are not kept yet. */
  readonly onTouch: (isTouched: boolean) => void
}

function EditForm({ rejection, onTouch }: EditFormProps) {
  const client = useQueryClient()
  const { id, version, fields } = rejection
  const [before] = useState(() => valuesOf(rejection))
  const [values, setValues] = useState<Values>(before)
  const changed = Object.fromEntries(
    Object.entries(values).filter(([name, value]) => value !== before[name] || isGiven(rejection, name)),
  )
  const isTouched = Object.entries(values).some(([name, value]) => value !== before[name])
  const save = useMutation({
    meta: { shown: true },
    mutationFn: () =>
      body(
        api.PUT('/api/v1/rejections/{id}', {
          params: { path: { id }, header: { 'if-match': `"${version}"` } },
          body: { values: changed },
        }),
      ),
    onSuccess: async (saved) => {
      client.setQueryData(rejectionQuery(id).queryKey, saved)
      say('Kept. A replay writes these values.')
      await client.invalidateQueries({ queryKey: ['jobs', 'rejections'] })
    },
  })
  const problem = save.error instanceof ApiProblem ? save.error : null
  const own = (name: string): string | undefined => problem?.of(`values/${name}`)
  const isElsewhere = save.error !== null && fields.every(({ name }) => own(name) === undefined)
  const set = (name: string, value: string | null): void => {
    const next = { ...values, [name]: value }
    setValues(next)
    onTouch(Object.keys(next).some((field) => next[field] !== before[field]))
  }
  return (
    <form
      aria-label="Values to write"
      onSubmit={(event) => {
        event.preventDefault()
        save.mutate()
      }}
    >
      <Stack gap="xs">
        <Text size="sm" fw={600}>
          What is to be written
        </Text>
        {fields.map(({ name, type, nullable }) => (
          <Group key={name} gap="xs" align="flex-end" wrap="nowrap">
            <TextInput
              style={{ flex: 1 }}
              size="xs"
              label={name}
              description={type}
              classNames={{ input: 'mono', label: 'mono' }}
              disabled={values[name] === null}
              value={values[name] ?? ''}
              placeholder={values[name] === null ? 'NULL' : ''}
              error={own(name)}
              onChange={(event) => set(name, event.currentTarget.value)}
            />
            {nullable && (
              <Checkbox
                size="xs"
                mb={7}
                label="NULL"
                aria-label={`${name} is NULL`}
                checked={values[name] === null}
                onChange={(event) => set(name, event.currentTarget.checked ? null : '')}
              />
            )}
          </Group>
        ))}
        {fields.length === 0 && <Text size="sm">Its table is not known any more: run the sync again first.</Text>}
        {isElsewhere && save.error !== null && <Problem error={save.error} />}
        <Group gap="xs" justify="space-between">
          <CopyAs
            cli={cliOf('jobs', 'edit-rejection', id, ...editWords(changed))}
            curl={curlOf('PUT', `/api/v1/rejections/${id}`, { values: changed })}
          />
          <Button type="submit" variant="default" disabled={!isTouched} loading={save.isPending}>
            Keep these values
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

function isGiven({ edited }: Rejection, name: string): boolean {
  return edited?.some(({ column }) => column === name) ?? false
}

function editWords(values: Values): readonly string[] {
  const nulls = Object.keys(values).filter((name) => values[name] === null)
  const given = Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`]))
  return nulls.length === 0 ? given : [...given, '--null', ...nulls]
}

function Dismiss({ rejection, onClose }: Pick<ViewProps, 'rejection' | 'onClose'>) {
  const client = useQueryClient()
  const { id } = rejection
  const dismiss = useMutation({
    mutationFn: () => body(api.POST('/api/v1/rejections/{id}/dismiss', { params: { path: { id } }, body: {} })),
    onSuccess: async () => {
      say('Left as it is, until the row of the source changes.')
      onClose()
      await client.invalidateQueries({ queryKey: ['jobs'] })
    },
  })
  return (
    <>
      <CopyAs cli={cliOf('jobs', 'dismiss', id)} curl={curlOf('POST', `/api/v1/rejections/${id}/dismiss`, {})} />
      <Button variant="default" loading={dismiss.isPending} onClick={() => dismiss.mutate()}>
        Leave it as it is
      </Button>
    </>
  )
}
