import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api } from '#api/client.ts'
import { useFreshKey } from '#app/fresh-key.tsx'
import { documentOf } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { configQuery, configsQuery } from '#features/sync-configs/queries.ts'
import { CopyAs, curlOf, quote } from '#ui/copy.tsx'
import { Problem } from '#ui/problem.tsx'
import { say } from '#ui/say.ts'

export function RemoveDialog({ onClose }: { readonly onClose: () => void }) {
  const { base, rest } = useDraft()
  const { id, name, version } = base
  const [typed, setTyped] = useState('')
  const navigate = useNavigate()
  const client = useQueryClient()
  const withFreshKey = useFreshKey()
  const remove = useMutation({
    meta: { shown: true },
    mutationFn: () =>
      withFreshKey(() =>
        api.DELETE('/api/v1/sync-configs/{id}', {
          params: { path: { id }, query: { confirm: typed }, header: { 'if-match': `"${version}"` } },
        }),
      ),
    onSuccess: async () => {
      // What was not saved went with it: nothing is left to ask about.
      rest(base, documentOf(base))
      client.removeQueries({ queryKey: configQuery(id).queryKey })
      await client.invalidateQueries({ queryKey: configsQuery.queryKey, exact: true })
      await navigate({ to: '/sync-configs', ignoreBlocker: true })
      say(`${name} is removed. Nothing in the databases has changed.`)
    },
  })
  return (
    <Modal opened onClose={onClose} title={`Remove ${name}`}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          remove.mutate()
        }}
      >
        <Stack gap="md">
          <Text size="sm">
            The sync config goes, with its versions. Nothing in the databases changes, and the records of its jobs stay.
          </Text>
          <TextInput
            data-autofocus
            label={`Type its name: ${name}`}
            autoComplete="off"
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
          />
          {remove.error !== null && <Problem error={remove.error} />}
          <Group justify="space-between">
            <CopyAs
              curl={curlOf('DELETE', `/api/v1/sync-configs/${id}?confirm=${encodeURIComponent(name)}`)}
              cli={`syncline configs remove ${quote(name)}`}
            />
            <Group gap="xs">
              <Button variant="default" onClick={onClose}>
                Cancel
              </Button>
              <Button type="submit" color="red" loading={remove.isPending} disabled={typed !== name}>
                Remove {name}
              </Button>
            </Group>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
