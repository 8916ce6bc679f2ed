import { Button, Group } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { api } from '#api/client.ts'
import { queryClient } from '#app/query-client.ts'
import { sessionQuery, useIsUnscoped, useMay } from '#app/session.ts'
import { keysQuery, sessionsQuery, type Session } from '#features/settings/queries.ts'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import { say } from '#ui/say.ts'
import { Time } from '#ui/time.tsx'

/** Browsers that are signed in: those of the own key, for an admin all. */
export function SessionsTab() {
  const query = useQuery(sessionsQuery)
  return (
    <Answer query={query} skeleton={<Lines count={4} />}>
      {(all) => <DataTable name="sessions" label="Sessions" columns={COLUMNS} rows={all} keyOf={({ id }) => id} />}
    </Answer>
  )
}

const COLUMNS: readonly DataColumn<Session>[] = [
  { id: 'key', header: 'Key', cell: (one) => <KeyName of={one} /> },
  { id: 'address', header: 'From', value: ({ address }) => address, cell: ({ address }) => address ?? '–' },
  { id: 'created', header: 'Signed in', value: (one) => one.created_at, cell: (one) => <Time at={one.created_at} /> },
  { id: 'seen', header: 'Last seen', value: (one) => one.seen_at, cell: (one) => <Time at={one.seen_at} /> },
  { id: 'expires', header: 'Ends', value: (one) => one.expires_at, cell: (one) => <Time at={one.expires_at} /> },
  { id: 'end', header: 'Action', cell: (one) => <End of={one} /> },
]

function KeyName({ of: { key_id: id, current } }: { readonly of: Session }) {
  const isAdmin = useMay('admin')
  const isUnscoped = useIsUnscoped()
  const { data: own } = useQuery(sessionQuery)
  const { data: keys = [] } = useQuery({ ...keysQuery, enabled: isAdmin && isUnscoped })
  const name = own?.key.id === id ? own.key.name : (keys.find((one) => one.id === id)?.name ?? id)
  return (
    <>
      <b>{name}</b>
      {current && <span className="quiet"> this browser</span>}
    </>
  )
}

function End({ of: { id, current } }: { readonly of: Session }) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const end = useMutation({
    mutationFn: () => api.DELETE('/api/v1/sessions/{id}', { params: { path: { id } } }),
    onSuccess: async () => {
      if (current) {
        await navigate({ to: '/sign-in' })
        queryClient.clear()
        return
      }
      say('The session was ended.')
      await client.invalidateQueries({ queryKey: sessionsQuery.queryKey })
    },
  })
  return (
    <Group gap={4} wrap="nowrap">
      <Button variant="subtle" color="red" loading={end.isPending} onClick={() => end.mutate()}>
        {current ? 'Sign out' : 'End session'}
      </Button>
      {!current && <CopyAs curl={curlOf('DELETE', `/api/v1/sessions/${id}`)} />}
    </Group>
  )
}
