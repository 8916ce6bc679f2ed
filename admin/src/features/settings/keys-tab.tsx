import { Button, Group, Switch } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconBan, IconClockX, IconPlus } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api } from '#api/client.ts'
import { useFreshKey } from '#app/fresh-key.tsx'
import { sessionQuery } from '#app/session.ts'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { keysQuery, type ApiKey } from '#features/settings/queries.ts'
import { NewKeyDialog } from '#features/settings/new-key-dialog.tsx'
import { useNow } from '#lib/now.ts'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { Mark } from '#ui/mark.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import { say } from '#ui/say.ts'
import { Time } from '#ui/time.tsx'
import { Confirm } from '#ui/confirm.tsx'

export function MakeKeyButton() {
  const [open, { open: show, close }] = useDisclosure(false)
  return (
    <>
      <Button leftSection={<IconPlus size={14} aria-hidden />} onClick={show}>
        Make a key
      </Button>
      {open && <NewKeyDialog onClose={close} />}
    </>
  )
}

export function KeysTab() {
  const query = useQuery(keysQuery)
  const [withEnded, setWithEnded] = useState(false)
  const [revoking, setRevoking] = useState<ApiKey | null>(null)
  const now = useNow()
  return (
    <Answer query={query} skeleton={<Lines count={4} />}>
      {(all) => {
        const isOver = ({ revoked_at: revoked, expires_at: expires }: ApiKey): boolean =>
          revoked !== null || (expires !== null && Date.parse(expires) <= now)
        const ended = all.filter(isOver).length
        return (
          <>
            {ended > 0 && (
              <Switch
                mb="sm"
                size="xs"
                label={`Also the ${ended} that were revoked or have expired`}
                checked={withEnded}
                onChange={(event) => setWithEnded(event.currentTarget.checked)}
              />
            )}
            <DataTable
              name="keys"
              label="API keys"
              columns={columnsOf(setRevoking)}
              rows={withEnded ? all : all.filter((one) => !isOver(one))}
              keyOf={({ id }) => id}
            />
            {revoking !== null && <Revoke of={revoking} onClose={() => setRevoking(null)} />}
          </>
        )
      }}
    </Answer>
  )
}

function columnsOf(revoke: (key: ApiKey) => void): readonly DataColumn<ApiKey>[] {
  return [
    { id: 'name', header: 'Name', value: ({ name }) => name, cell: (one) => <Name of={one} /> },
    {
      id: 'prefix',
      header: 'Begins with',
      value: ({ prefix }) => prefix,
      cell: ({ prefix }) => <span className="mono">{prefix}…</span>,
    },
    { id: 'role', header: 'Role', value: ({ role }) => role, cell: ({ role }) => role },
    { id: 'scope', header: 'For', cell: (one) => <Scope of={one} /> },
    {
      id: 'last_used',
      header: 'Last used',
      value: (one) => one.last_used_at,
      cell: (one) =>
        one.last_used_at === null ? <span className="quiet">never</span> : <Time at={one.last_used_at} />,
    },
    { id: 'state', header: 'Ends', value: (one) => one.expires_at, cell: (one) => <Ends of={one} /> },
    { id: 'created', header: 'Made', value: (one) => one.created_at, cell: (one) => <Time at={one.created_at} /> },
    {
      id: 'revoke',
      header: 'Action',
      cell: (one) =>
        one.revoked_at === null && (
          <Button variant="subtle" color="red" aria-label={`Revoke ${one.name}`} onClick={() => revoke(one)}>
            Revoke
          </Button>
        ),
    },
  ]
}

function Name({ of: { id, name } }: { readonly of: ApiKey }) {
  const { data } = useQuery(sessionQuery)
  return (
    <>
      <b>{name}</b>
      {data?.key.id === id && <span className="quiet"> this one</span>}
    </>
  )
}

function Scope({ of: { datasources } }: { readonly of: ApiKey }) {
  const { data: known = [] } = useQuery(datasourcesQuery)
  if (datasources === null) return 'All datasources'
  return datasources.map((id) => known.find((one) => one.id === id)?.name ?? id).join(', ')
}

function Ends({ of: { revoked_at: revoked, expires_at: expires } }: { readonly of: ApiKey }) {
  const now = useNow()
  if (revoked !== null) {
    return (
      <Group gap="xs" wrap="nowrap">
        <Mark tone="resting" icon={IconBan}>
          Revoked
        </Mark>
        <Time at={revoked} />
      </Group>
    )
  }
  if (expires === null) return <span className="quiet">never</span>
  if (Date.parse(expires) > now) return <Time at={expires} />
  return (
    <Group gap="xs" wrap="nowrap">
      <Mark tone="resting" icon={IconClockX}>
        Expired
      </Mark>
      <Time at={expires} />
    </Group>
  )
}

function Revoke({ of: { id, name }, onClose }: { readonly of: ApiKey; readonly onClose: () => void }) {
  const client = useQueryClient()
  const withFreshKey = useFreshKey()
  const navigate = useNavigate()
  const { data: session } = useQuery(sessionQuery)
  const isOwn = session?.key.id === id
  const revoke = useMutation({
    meta: { shown: true },
    mutationFn: () => withFreshKey(() => api.DELETE('/api/v1/keys/{id}', { params: { path: { id } } })),
    onSuccess: async () => {
      onClose()
      say(`The key ${name} was revoked.`)
      if (isOwn) {
        await navigate({ to: '/sign-in' })
        client.clear()
        return
      }
      await Promise.all([keysQuery, sessionQuery].map(({ queryKey }) => client.invalidateQueries({ queryKey })))
    },
  })
  return (
    <Confirm
      title={`Revoke ${name}`}
      verb="Revoke key"
      pending={revoke.isPending}
      error={revoke.error}
      beside={<CopyAs curl={curlOf('DELETE', `/api/v1/keys/${id}`)} cli={`syncline keys revoke ${id}`} />}
      onConfirm={() => revoke.mutate()}
      onClose={onClose}
    >
      Whoever uses {name} is refused from this moment on; its sessions and streams end.
      {isOwn && ' It is the key that you are signed in with: you are signed out.'} Jobs that it started go on.
    </Confirm>
  )
}
