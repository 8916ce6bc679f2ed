import { Button, Group, Stack, Text } from '@mantine/core'
import { IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body, type Schemas } from '#api/client.ts'
import { useFreshKey } from '#app/fresh-key.tsx'
import { WayOut } from '#features/datasources/let-write.tsx'
import { useDatasource } from '#features/datasources/queries.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { overviewQuery, scheduleQuery } from '#features/sync-configs/queries.ts'
import { Confirm } from '#ui/confirm.tsx'
import { CopyAs, curlOf, quote } from '#ui/copy.tsx'
import { Notice } from '#ui/notice.tsx'
import { Problem } from '#ui/problem.tsx'
import { say } from '#ui/say.ts'
import { Time } from '#ui/time.tsx'

type State = Schemas['ScheduleState']

/** What holds its runs back, before anything else. */
export function ScheduleNotices({ state }: { readonly state: State }) {
  const { base, mayEdit } = useDraft()
  const target = useDatasource(base.target_datasource_id)
  const source = useDatasource(base.source_datasource_id)
  const [asking, setAsking] = useState(false)
  return (
    <>
      {state.paused_at !== null && (
        <Notice tone="resting" title="Paused">
          <Text size="sm">
            Nothing runs by itself since <Time at={state.paused_at} />, as {state.paused_by} wanted it. What comes
            meanwhile is not made up for.
          </Text>
        </Notice>
      )}
      {state.refused_for !== null && (
        <Notice tone="person" title="Its runs would be refused">
          <Text size="sm">{state.refused_for.message}</Text>
          {state.refused_for.code === 'target_protected' && mayEdit ? (
            <Button variant="default" w="fit-content" onClick={() => setAsking(true)}>
              Let its runs write there
            </Button>
          ) : (
            <Text size="sm">{state.refused_for.hint}</Text>
          )}
          <WayOut error={state.refused_for} of={base.direction === 'two_way' ? [target, source] : [target]} />
        </Notice>
      )}
      {asking && <GiveConsent onClose={() => setAsking(false)} />}
    </>
  )
}

function GiveConsent({ onClose }: { readonly onClose: () => void }) {
  const { base } = useDraft()
  const keep = useKeepState()
  const withFreshKey = useFreshKey()
  const target = useDatasource(base.target_datasource_id)
  const source = useDatasource(base.source_datasource_id)
  const isTwoWay = base.direction === 'two_way'
  const name = target?.name ?? ''
  const consent = {
    ...(target?.protected === true ? { allow_protected_write: true } : {}),
    ...(isTwoWay && source?.protected === true ? { allow_protected_source_write: true } : {}),
    confirm: name,
  }
  const give = useMutation({
    meta: { shown: true },
    mutationFn: () =>
      withFreshKey(() =>
        body(
          api.PUT('/api/v1/sync-configs/{id}/schedule/consent', { params: { path: { id: base.id } }, body: consent }),
        ),
      ),
    onSuccess: async (state) => {
      onClose()
      await keep(state)
      say(`The runs of ${base.name} may write to ${name}.`)
    },
  })
  const flags = [
    ...('allow_protected_write' in consent ? ['--allow-protected-write'] : []),
    ...('allow_protected_source_write' in consent ? ['--allow-protected-source-write'] : []),
  ].join(' ')
  return (
    <Confirm
      title="Let its runs write to what is protected"
      typedName={name}
      verb="Let them write"
      pending={give.isPending}
      error={give.error}
      beside={
        <CopyAs
          curl={curlOf('PUT', `/api/v1/sync-configs/${base.id}/schedule/consent`, consent)}
          cli={`syncline configs schedule ${quote(base.name)} ${flags} --confirm ${quote(name)}`}
        />
      }
      onConfirm={() => give.mutate()}
      onClose={onClose}
    >
      From now on every run of this schedule writes to <b>{name}</b> without asking anybody. Brakes stop it as ever. It
      holds for as long as the config is between these two databases.
    </Confirm>
  )
}

/** Pausing without losing the schedule, and taking consent back. */
export function ScheduleActions({ state }: { readonly state: State }) {
  const { base, mayEdit } = useDraft()
  const keep = useKeepState()
  const params = { path: { id: base.id } }
  const isPaused = state.paused_at !== null
  const word = isPaused ? 'resume' : 'pause'
  const act = useMutation({
    meta: { shown: true },
    mutationFn: () =>
      isPaused
        ? body(api.POST('/api/v1/sync-configs/{id}/schedule/resume', { params }))
        : body(api.POST('/api/v1/sync-configs/{id}/schedule/pause', { params })),
    onSuccess: async (next) => {
      await keep(next)
      say(isPaused ? `${base.name} runs by itself again.` : `${base.name} is paused.`)
    },
  })
  const takeBack = useMutation({
    meta: { shown: true },
    mutationFn: () => body(api.PUT('/api/v1/sync-configs/{id}/schedule/consent', { params, body: {} })),
    onSuccess: keep,
  })
  const { consent } = state
  return (
    <Stack gap="xs">
      {consent !== null && (
        <Text size="sm">
          {consent.by} let its runs write to what is protected <Time at={consent.at} />
          {consent.holds ? '.' : ', for other databases than it has now: that does not hold any more.'}
        </Text>
      )}
      {mayEdit && (
        <Group gap="xs">
          <Button
            variant="default"
            leftSection={
              isPaused ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />
            }
            loading={act.isPending}
            onClick={() => act.mutate()}
          >
            {isPaused ? 'Resume schedule' : 'Pause schedule'}
          </Button>
          {consent !== null && (
            <Button variant="default" loading={takeBack.isPending} onClick={() => takeBack.mutate()}>
              No longer let its runs write there
            </Button>
          )}
          <CopyAs
            curl={curlOf('POST', `/api/v1/sync-configs/${base.id}/schedule/${word}`)}
            cli={`syncline configs schedule ${quote(base.name)} --${word}`}
          />
        </Group>
      )}
      {act.error !== null && <Problem error={act.error} />}
      {takeBack.error !== null && <Problem error={takeBack.error} />}
    </Stack>
  )
}

function useKeepState(): (state: State) => Promise<void> {
  const client = useQueryClient()
  const { base } = useDraft()
  return async (state) => {
    client.setQueryData(scheduleQuery(base.id).queryKey, state)
    await client.invalidateQueries({ queryKey: overviewQuery.queryKey })
  }
}
