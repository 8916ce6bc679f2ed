import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { api } from '#api/client.ts'
import { useFreshKey } from '#app/fresh-key.tsx'
import { documentOf } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { configQuery, configsQuery } from '#features/sync-configs/queries.ts'
import { Confirm } from '#ui/confirm.tsx'
import { cliOf, CopyAs, curlOf } from '#ui/copy.tsx'
import { say } from '#ui/say.ts'

export function RemoveDialog({ onClose }: { readonly onClose: () => void }) {
  const { base, rest } = useDraft()
  const { id, name, version } = base
  const navigate = useNavigate()
  const client = useQueryClient()
  const withFreshKey = useFreshKey()
  const remove = useMutation({
    meta: { shown: true },
    mutationFn: () =>
      withFreshKey(() =>
        api.DELETE('/api/v1/sync-configs/{id}', {
          params: { path: { id }, query: { confirm: name }, header: { 'if-match': `"${version}"` } },
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
    <Confirm
      title={`Remove ${name}`}
      typedName={name}
      verb={`Remove ${name}`}
      pending={remove.isPending}
      error={remove.error}
      beside={
        <CopyAs
          curl={curlOf('DELETE', `/api/v1/sync-configs/${id}?confirm=${encodeURIComponent(name)}`)}
          cli={cliOf('configs', 'remove', name)}
        />
      }
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      The sync config goes, with its versions. Nothing in the databases changes, and the records of its jobs stay.
    </Confirm>
  )
}
