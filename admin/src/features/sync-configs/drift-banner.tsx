import { Anchor, Button, Group, Text } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { api, body } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { driftQuery, overviewQuery } from '#features/sync-configs/queries.ts'
import { useShow } from '#features/sync-configs/use-shown.ts'
import { formatCount, plural } from '#lib/format.ts'
import { cliOf, CopyAs, curlOf } from '#ui/copy.tsx'
import { Notice } from '#ui/notice.tsx'
import { say } from '#ui/say.ts'
import { Time } from '#ui/time.tsx'

/** A look that is older than this is taken again when the page is opened. */
const FRESH_MS = 5 * 60_000

const SHOWN = 5

/** What of the tables has changed since the mapping was looked over, and what can be done about it. */
export function DriftBanner() {
  const { base } = useDraft()
  const { id } = base
  const mayLook = useMay('operator')
  const { data: drift } = useQuery(driftQuery(id))
  const look = useLook(id)
  const { mutate, isIdle } = look
  useEffect(() => {
    if (!mayLook || !isIdle || drift === undefined) return
    const isFresh = drift.seen_at !== null && Date.now() - Date.parse(drift.seen_at) < FRESH_MS
    if (!isFresh) mutate()
  }, [mayLook, drift, isIdle, mutate])
  if (drift === undefined || drift.changes.length === 0 || drift.seen_at === null) return null
  const { changes } = drift
  return (
    <Notice
      tone="person"
      title={`${plural(changes.length, 'thing')} in the tables ${changes.length === 1 ? 'has' : 'have'} changed since the mapping was looked over`}
    >
      <Changes words={changes.map(({ words }) => words)} />
      <Text size="xs" className="quiet">
        Looked at <Time at={drift.seen_at} />. Runs go on, and say what they make of it; they stop where it could change
        what a value means.
      </Text>
      <Deeds id={id} name={base.name} digest={drift.digest ?? ''} />
    </Notice>
  )
}

/** One that fails says nothing of the tables: whoever runs the config is told why. */
function useLook(id: string) {
  const client = useQueryClient()
  return useMutation({
    meta: { shown: true },
    mutationFn: () =>
      body(api.POST('/api/v1/sync-configs/{id}/schema-drift/look', { params: { path: { id } }, body: {} })),
    onSuccess: (found) => {
      client.setQueryData(driftQuery(id).queryKey, found)
      return client.invalidateQueries({ queryKey: overviewQuery.queryKey })
    },
  })
}

function Changes({ words }: { readonly words: readonly string[] }) {
  const [isWhole, showWhole] = useState(false)
  const shown = isWhole ? words : words.slice(0, SHOWN)
  return (
    <>
      <ul className="plain-list" style={{ lineHeight: 1.5 }}>
        {shown.map((each) => (
          <li key={each}>{each}</li>
        ))}
      </ul>
      {shown.length < words.length && (
        <Anchor component="button" type="button" size="sm" ta="left" onClick={() => showWhole(true)}>
          Show all {formatCount(words.length)}
        </Anchor>
      )}
    </>
  )
}

interface DeedsProps {
  readonly id: string
  readonly name: string
  readonly digest: string
}

function Deeds({ id, name, digest }: DeedsProps) {
  const { document, mayEdit } = useDraft()
  const show = useShow()
  const client = useQueryClient()
  const accept = useMutation({
    mutationFn: () =>
      body(api.POST('/api/v1/sync-configs/{id}/schema-drift/accept', { params: { path: { id } }, body: { digest } })),
    onSuccess: (found) => {
      client.setQueryData(driftQuery(id).queryKey, found)
      say('Accepted. Later changes are held against the tables as they are now.')
      return client.invalidateQueries({ queryKey: overviewQuery.queryKey })
    },
    // Others may have changed the tables again since.
    onError: () => client.invalidateQueries({ queryKey: driftQuery(id).queryKey }),
  })
  const hasSchedule = document.schedule !== undefined || document.sync_interval !== undefined
  return (
    <Group gap="xs" mt="xs">
      <Button variant="default" onClick={() => show({ tab: 'mapping' })}>
        Look the mapping over
      </Button>
      {mayEdit && (
        <>
          <Button variant="default" loading={accept.isPending} onClick={() => accept.mutate()}>
            Accept
          </Button>
          {hasSchedule && (
            <Button variant="default" onClick={() => show({ tab: 'schedule' })}>
              Pause the schedule
            </Button>
          )}
          <CopyAs
            cli={cliOf('configs', 'schema-drift', name, '--accept', digest)}
            curl={curlOf('POST', `/api/v1/sync-configs/${id}/schema-drift/accept`, { digest })}
          />
        </>
      )}
    </Group>
  )
}
