import { Button, Group, NumberInput, Stack, Text } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ApiProblem, body, type Schemas } from '#api/client.ts'
import { useFreshKey } from '#app/fresh-key.tsx'
import { retentionQuery } from '#features/settings/queries.ts'
import { formatBytes } from '#lib/format.ts'
import { Confirm } from '#ui/confirm.tsx'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { Mark } from '#ui/mark.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { say } from '#ui/say.ts'
import { Time } from '#ui/time.tsx'

type Settings = Schemas['RetentionSettings']
type Request = Required<Schemas['RetentionRequest']>
type Field = keyof Request

/** Something that is kept for a time or in a room only. */
interface Limit {
  readonly field: Field
  readonly title: string
  readonly about: string
  readonly unit: Unit
  readonly now: number
  readonly source: Settings['entries'][number]['source']
  readonly variable: string
  readonly set: number | null
  readonly byDefault: number
  readonly least: number
}

/** How a number is written in a field, and how it is said. */
interface Unit {
  readonly word: string
  readonly size: number
  readonly decimals: number
  readonly say: (amount: number) => string
}

const DAYS: Unit = { word: 'days', size: 1, decimals: 0, say: (days) => `${days} day${days === 1 ? '' : 's'}` }
const BYTES: Unit = { word: 'GiB', size: 1024 ** 3, decimals: 3, say: formatBytes }

const WORDS: Readonly<Record<Field, readonly [string, string]>> = {
  jobs_days: ['Ended jobs', 'Their progress, log and receipts, and what became of runs of a schedule.'],
  history_days: ['Rows that jobs wrote', 'Keys and values before and after. Without them a job cannot be undone.'],
  audit_days: ['Events of the audit log', 'Who did what. They go by whole days, and the log says so.'],
  dumps_days: ['Dumps', 'Exports, uploads and backups. Backups stay for 7 days at least.'],
  dumps_bytes: [
    'Room for dumps',
    'What all of them may take up. Where there is more the oldest go, but for backups of this week.',
  ],
  free_bytes: ['Room that dumps leave free', 'Of their disk. A dump that would need it is refused.'],
}

/** For how long things are kept, and in how much room. */
export function RetentionTab() {
  const query = useQuery(retentionQuery)
  return (
    <Answer query={query} skeleton={<Lines count={6} />}>
      {(settings) => <Form key={settings.updated_at} settings={settings} />}
    </Answer>
  )
}

function limitsOf({ entries, space }: Settings): readonly Limit[] {
  const limit = (field: Field, unit: Unit, now: number, of: Omit<Settings['space'][number], 'of' | 'bytes'>): Limit => {
    const [title, about] = WORDS[field]
    const { source, variable, set, default: byDefault, least } = of
    return { field, title, about, unit, now, source, variable, set, byDefault, least }
  }
  return [
    ...entries.map((entry) => limit(`${entry.of}_days`, DAYS, entry.days, entry)),
    ...space.map((entry) => limit(`${entry.of}_bytes`, BYTES, entry.bytes, entry)),
  ]
}

function Form({ settings }: { readonly settings: Settings }) {
  const client = useQueryClient()
  const withFreshKey = useFreshKey()
  const limits = limitsOf(settings)
  const [request, setRequest] = useState<Request>(
    () => Object.fromEntries(limits.map(({ field, set }) => [field, set])) as Request,
  )
  const [asking, setAsking] = useState(false)
  const isChanged = limits.some(({ field, set }) => request[field] !== set)
  // What is to stay free on a disk makes nothing go.
  const less = limits.filter(
    ({ field, source, byDefault, now }) =>
      source !== 'environment' && field !== 'free_bytes' && (request[field] ?? byDefault) < now,
  )
  const save = useMutation({
    meta: { shown: true },
    mutationFn: () => withFreshKey(() => body(api.PUT('/api/v1/settings/retention', { body: request }))),
    onSuccess: (next) => {
      setAsking(false)
      client.setQueryData(retentionQuery.queryKey, next)
      say('What is kept, and for how long, is set.')
    },
    onError: () => setAsking(false),
  })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (less.length > 0) setAsking(true)
        else save.mutate()
      }}
    >
      <Stack gap="lg" maw={560}>
        {limits.map((limit) => (
          <LimitField
            key={limit.field}
            limit={limit}
            value={request[limit.field]}
            error={save.error instanceof ApiProblem ? save.error.of(limit.field) : undefined}
            onChange={(next) => {
              // What was refused is another one now.
              save.reset()
              setRequest((now) => ({ ...now, [limit.field]: next }))
            }}
          />
        ))}
        {save.error !== null && <Problem error={save.error} />}
        <Group gap="xs">
          <Button type="submit" disabled={!isChanged} loading={save.isPending}>
            Save
          </Button>
          {isChanged && <CopyAs curl={curlOf('PUT', '/api/v1/settings/retention', request)} />}
        </Group>
        {settings.updated_at !== null && (
          <Text size="sm" className="quiet">
            Set <Time at={settings.updated_at} />
            {settings.updated_by !== null && ` by ${settings.updated_by}`}.
          </Text>
        )}
      </Stack>
      {asking && (
        <Confirm
          title="Keep less"
          verb="Keep less"
          pending={save.isPending}
          error={null}
          beside={<CopyAs curl={curlOf('PUT', '/api/v1/settings/retention', request)} />}
          onConfirm={() => save.mutate()}
          onClose={() => setAsking(false)}
        >
          Within the hour what is older or more goes, and does not come back:
          <ul>
            {less.map(({ field, title, unit, byDefault, now }) => (
              <li key={field}>
                {title}: {unit.say(request[field] ?? byDefault)} in place of {unit.say(now)}
              </li>
            ))}
          </ul>
        </Confirm>
      )}
    </form>
  )
}

interface LimitFieldProps {
  readonly limit: Limit
  readonly value: number | null
  readonly error: string | undefined
  readonly onChange: (amount: number | null) => void
}

function LimitField({ limit, value, error, onChange }: LimitFieldProps) {
  const { title, about, unit, now, source, variable, set, byDefault, least } = limit
  // A number that is not written to its end is a text.
  const [text, setText] = useState<string | number>(value === null ? '' : value / unit.size)
  if (source === 'environment') {
    return (
      <Stack gap={4}>
        <Text fw={700} size="sm">
          {title}
        </Text>
        <Text size="sm">
          <b>{unit.say(now)}</b>. {about}
        </Text>
        <Mark tone="resting">From the environment</Mark>
        <Text size="sm" className="quiet">
          {variable} comes before what is set here
          {set === null ? '' : `, which is ${unit.say(set)}`}.
        </Text>
      </Stack>
    )
  }
  const from = unit === DAYS ? ` From ${unit.say(least)} on;` : ''
  return (
    <NumberInput
      label={title}
      description={`${about}${from} ${from === '' ? 'Empty' : 'empty'}: ${unit.say(byDefault)}.`}
      placeholder={unit.say(byDefault)}
      suffix={` ${unit.word}`}
      value={text}
      allowDecimal={unit.decimals > 0}
      decimalScale={unit.decimals}
      allowNegative={false}
      clampBehavior="none"
      hideControls
      error={error}
      onChange={(next) => {
        setText(next)
        onChange(next === '' ? null : Math.round(Number(next) * unit.size))
      }}
    />
  )
}
