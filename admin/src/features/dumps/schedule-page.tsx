import { Button, Group, Stack, Text, Title } from '@mantine/core'
import { IconPlayerPause, IconPlayerPlay, IconTrash } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { ApiProblem } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { useDatasource, type Datasource } from '#features/datasources/queries.ts'
import { ChooseDatasource } from '#features/dumps/choose-datasource.tsx'
import { exportDraftOf, exportRequest, FIRST_EXPORT, type ExportDraft } from '#features/dumps/export-draft.ts'
import { HowFields, WhatFields } from '#features/dumps/export-fields.tsx'
import { exportScheduleMeans } from '#features/dumps/means.ts'
import { NewestExport } from '#features/dumps/newest-export.tsx'
import {
  changeExportSchedule,
  exportScheduleQuery,
  keepExportSchedule,
  type ExportSchedule,
  type ExportScheduleRequest,
} from '#features/dumps/queries.ts'
import { isChosen } from '#features/dumps/reading-draft.ts'
import { CronFields } from '#features/schedules/cron-fields.tsx'
import { LastTicks } from '#features/schedules/last-ticks.tsx'
import { Runs } from '#features/schedules/runs.tsx'
import { usePreview } from '#features/schedules/use-preview.ts'
import { FIRST_CRON, VIEWER_ZONE } from '#features/schedules/zones.ts'
import { Confirm } from '#ui/confirm.tsx'
import { CopyAs } from '#ui/copy.tsx'
import { Notice } from '#ui/notice.tsx'
import { Answer, Lines, Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { say } from '#ui/say.ts'
import { Time } from '#ui/time.tsx'
import classes from './dumps.module.css'

const TITLE = 'Schedule an export'
const STATE = 'At times that you set, as long as a service or a worker runs.'

/** When a database is exported by itself, and what that has come to. */
export function SchedulePage() {
  const { datasource: id } = useSearch({ from: '/shell/dumps/schedule' })
  const navigate = useNavigate({ from: '/dumps/schedule' })
  const datasource = useDatasource(id ?? null)
  const choose = (next: string | null): void => void navigate({ search: next === null ? {} : { datasource: next } })
  if (id === undefined) {
    return (
      <Page title={TITLE} state={STATE}>
        <Choose value={null} onChange={choose} />
      </Page>
    )
  }
  return datasource === undefined ? (
    <Page title={TITLE} state={STATE}>
      <Choose value={id} onChange={choose} />
    </Page>
  ) : (
    <Kept key={id} datasource={datasource} onChoose={choose} />
  )
}

function Choose({
  value,
  onChange,
}: {
  readonly value: string | null
  readonly onChange: (id: string | null) => void
}) {
  return (
    <ChooseDatasource
      label="Database"
      description="PostgreSQL, also of Supabase and Neon, reached by its connection string."
      value={value}
      error={undefined}
      onChange={onChange}
    />
  )
}

interface KeptProps {
  readonly datasource: Datasource
  readonly onChoose: (id: string | null) => void
}

function Kept({ datasource, onChoose }: KeptProps) {
  const kept = useQuery(exportScheduleQuery(datasource.id))
  // What is kept is put into the form once: what somebody types there is not taken away by the next answer.
  return kept.data === undefined ? (
    <Page title={TITLE} state={STATE}>
      <Answer query={kept}>{() => null}</Answer>
    </Page>
  ) : (
    <Form datasource={datasource} kept={kept.data} onChoose={onChoose} />
  )
}

interface Draft extends ExportDraft {
  readonly schedule: ExportScheduleRequest['schedule']
}

function draftOf(kept: ExportSchedule | null): Draft {
  if (kept === null) return { ...FIRST_EXPORT, schedule: { cron: FIRST_CRON, time_zone: VIEWER_ZONE } }
  return { ...exportDraftOf(kept.export), schedule: kept.schedule }
}

function Form({ datasource, kept, onChoose }: KeptProps & { readonly kept: ExportSchedule | null }) {
  const client = useQueryClient()
  const mayAct = useMay('operator')
  const [draft, setDraft] = useState(() => draftOf(kept))
  const save = useMutation({
    meta: { shown: true },
    mutationFn: (request: ExportScheduleRequest) => keepExportSchedule(datasource.id, request),
    onSuccess: async (next) => {
      client.setQueryData(exportScheduleQuery(datasource.id).queryKey, next)
      await client.invalidateQueries({ queryKey: ['dumps', 'schedules'] })
      say(`The export of ${datasource.name} is scheduled.`)
    },
  })
  const set = (change: Partial<Draft>): void => {
    save.reset()
    setDraft((old) => ({ ...old, ...change }))
  }
  const request = { schedule: draft.schedule, ...exportRequest(draft) }
  const isKept = kept !== null && JSON.stringify(request) === JSON.stringify(requestOf(kept))
  const preview = usePreview({ schedule: draft.schedule }, !isKept)
  const untold = preview.error instanceof ApiProblem && !isKept ? preview.error : null
  const problem = save.error instanceof ApiProblem ? save.error : null
  return (
    <Page
      title={kept === null ? TITLE : `Scheduled export of ${datasource.name}`}
      state={kept === null ? STATE : <Newest kept={kept} />}
      action={
        mayAct && (
          <>
            <CopyAs {...exportScheduleMeans(datasource, request)} />
            <Button type="submit" form="schedule" disabled={isKept || !isChosen(draft)} loading={save.isPending}>
              {kept === null ? 'Set it up' : 'Save'}
            </Button>
          </>
        )
      }
    >
      <form
        id="schedule"
        onSubmit={(event) => {
          event.preventDefault()
          save.mutate(request)
        }}
      >
        <Stack gap="lg">
          {save.error !== null && <Problem error={save.error} />}
          {kept !== null && kept.paused_at !== null && (
            <Notice tone="resting" title="Paused">
              <Text size="sm">
                It is not exported since <Time at={kept.paused_at} />, as {kept.paused_by} wanted it. What comes
                meanwhile is not made up for.
              </Text>
            </Notice>
          )}
          <div className={classes['split']}>
            <Stack gap="lg">
              {kept === null && <Choose value={datasource.id} onChange={onChoose} />}
              <CronFields
                schedule={draft.schedule}
                errorAt={(place) => untold?.of(place) ?? problem?.of(place)}
                onChange={(schedule) => set({ schedule })}
              />
              <Next kept={isKept ? kept : null} preview={preview} untold={untold} />
              <WhatFields datasource={datasource.id} draft={draft} set={set} problem={problem} />
            </Stack>
            <HowFields draft={draft} set={set} problem={problem} source={datasource} />
          </div>
        </Stack>
      </form>
      {kept !== null && (
        <Stack gap="lg" mt="lg">
          {mayAct && <Actions datasource={datasource} kept={kept} onGone={() => onChoose(null)} />}
          <LastTicks of={datasource.name} ticks={kept.ticks} />
        </Stack>
      )}
    </Page>
  )
}

function Newest({ kept }: { readonly kept: ExportSchedule }) {
  return (
    <Group gap={6}>
      Newest export: <NewestExport schedule={kept} />
    </Group>
  )
}

function requestOf(kept: ExportSchedule): ExportScheduleRequest {
  return { schedule: kept.schedule, ...exportRequest(exportDraftOf(kept.export)) }
}

interface NextProps {
  /** Where nothing of it was changed. */
  readonly kept: ExportSchedule | null
  readonly preview: ReturnType<typeof usePreview>
  readonly untold: ApiProblem | null
}

/** What the times come to. */
function Next({ kept, preview, untold }: NextProps) {
  if (kept !== null) return <Runs schedule={kept} />
  if (untold !== null) {
    return untold.places.length === 0 ? (
      <Problem error={untold} />
    ) : (
      <Text size="sm" className="quiet">
        Its next runs are told once this can be read.
      </Text>
    )
  }
  return preview.data === undefined ? <Lines count={6} /> : <Runs schedule={preview.data} />
}

interface ActionsProps {
  readonly datasource: Datasource
  readonly kept: ExportSchedule
  readonly onGone: () => void
}

/** Pausing it without losing it, and forgetting it. */
function Actions({ datasource: { id, name }, kept, onGone }: ActionsProps) {
  const client = useQueryClient()
  const [asking, setAsking] = useState(false)
  const isPaused = kept.paused_at !== null
  const act = useMutation({
    meta: { shown: true },
    mutationFn: (what: 'pause' | 'resume' | 'remove') => changeExportSchedule(id, what),
    onSuccess: async (_, what) => {
      if (what === 'remove') onGone()
      await client.invalidateQueries({ queryKey: ['dumps'] })
      say(
        what === 'remove'
          ? `The export of ${name} is no longer scheduled.`
          : what === 'pause'
            ? `The exports of ${name} are paused.`
            : `The exports of ${name} go on.`,
      )
    },
  })
  return (
    <Stack gap="xs">
      <Title order={2}>The schedule</Title>
      <Group gap="xs">
        <Button
          variant="default"
          leftSection={isPaused ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />}
          loading={act.isPending && !asking}
          onClick={() => act.mutate(isPaused ? 'resume' : 'pause')}
        >
          {isPaused ? 'Resume schedule' : 'Pause schedule'}
        </Button>
        <Button variant="default" leftSection={<IconTrash size={14} aria-hidden />} onClick={() => setAsking(true)}>
          Remove schedule
        </Button>
      </Group>
      {act.error !== null && !asking && <Problem error={act.error} />}
      {asking && (
        <Confirm
          title="Remove the schedule"
          verb="Remove"
          pending={act.isPending}
          error={act.error}
          onConfirm={() => act.mutate('remove')}
          onClose={() => setAsking(false)}
        >
          <b>{name}</b> is no longer exported at its times. Dumps that were made stay, as long as others do.
        </Confirm>
      )}
    </Stack>
  )
}
