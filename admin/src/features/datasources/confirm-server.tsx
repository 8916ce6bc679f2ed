import { Button, Group, Stack, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { api } from '#api/client.ts'
import { useFreshKey } from '#app/fresh-key.tsx'
import { useMay } from '#app/session.ts'
import { words } from '#features/datasources/other-means.ts'
import type { Datasource } from '#features/datasources/queries.ts'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { Mark } from '#ui/mark.tsx'
import { say } from '#ui/say.ts'
import { Confirm } from '#ui/confirm.tsx'

/** Where the address leads to another database than before: nothing is read or written until somebody says that it was meant. */
export function ConfirmServer({ one, onConfirmed }: { readonly one: Datasource; readonly onConfirmed: () => void }) {
  const may = useMay('admin')
  const [open, { open: ask, close }] = useDisclosure(false)
  const client = useQueryClient()
  const withFreshKey = useFreshKey()
  const path = `/api/v1/datasources/${one.id}/confirm-server`
  const confirm = useMutation({
    meta: { shown: true },
    mutationFn: () =>
      withFreshKey(() =>
        api.POST('/api/v1/datasources/{id}/confirm-server', {
          params: { path: { id: one.id } },
          body: { confirm: one.name },
        }),
      ),
    onSuccess: async () => {
      close()
      say(`${one.name} is the database that answers now.`)
      await client.invalidateQueries({ queryKey: ['datasources'] })
      onConfirmed()
    },
  })
  return (
    <Stack gap="xs">
      <Mark tone="person">Another database answers at this address</Mark>
      <Text size="sm">
        No sync reads or writes {one.name} until somebody has looked at what is there, and says that the move was meant.
      </Text>
      {may && (
        <Group gap="xs">
          <Button variant="default" onClick={ask}>
            Take this database for the right one
          </Button>
        </Group>
      )}
      {open && (
        <Confirm
          title={`Another database for ${one.name}`}
          typedName={one.name}
          verb="Take this database"
          pending={confirm.isPending}
          error={confirm.error}
          beside={
            <CopyAs
              curl={curlOf('POST', path, { confirm: one.name })}
              cli={words('syncline', 'datasources', 'confirm', one.name)}
            />
          }
          onConfirm={() => confirm.mutate()}
          onClose={close}
        >
          Syncs that know {one.name} will read and write the database that answers now. Where it is not a copy of the
          one before, a sync may see every row as changed or gone.
        </Confirm>
      )}
    </Stack>
  )
}
