import { Box, Button, Group, Stack, Text, Title } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ApiProblem } from '#api/client.ts'
import { useFreshKey } from '#app/fresh-key.tsx'
import { connectionOf, draftOf, isReachable, requestOf } from '#features/datasources/connection-draft.ts'
import { ConnectionForm } from '#features/datasources/connection-form.tsx'
import { Notes } from '#features/datasources/notes.tsx'
import { otherMeansToChange, words } from '#features/datasources/other-means.ts'
import { PurposeFields } from '#features/datasources/purpose-fields.tsx'
import { useChange, type Datasource } from '#features/datasources/queries.ts'
import { TryConnection } from '#features/datasources/try-connection.tsx'
import { UrlField } from '#features/datasources/url-field.tsx'
import { useAddress } from '#features/datasources/use-address.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'
import { plural } from '#lib/format.ts'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { Problem } from '#ui/problem.tsx'
import { say } from '#ui/say.ts'
import { Confirm } from '#ui/confirm.tsx'
import { Unsaved } from '#ui/unsaved.tsx'
import classes from '#ui/columns.module.css'

/** Changes a datasource as a whole; a password that is kept stays unless it is replaced. */
export function DatasourceSettings({ one }: { readonly one: Datasource }) {
  const [draft, setDraft] = useState(() => draftOf(one))
  const address = useAddress(draft)
  const request = requestOf(draft, address?.kind)
  const isChanged = JSON.stringify(draft) !== JSON.stringify(draftOf(one))
  const save = useChange(one, ({ name }) => `${name} was changed.`)
  const problemOf = (field: string): string | undefined =>
    save.error instanceof ApiProblem ? save.error.of(field) : undefined
  return (
    <Stack gap="xl">
      <Unsaved
        unsaved={isChanged && !save.isPending}
        stays={({ search }) => 'tab' in search && search.tab === 'settings'}
      >
        {`What was changed about ${one.name} is lost then.`}
      </Unsaved>
      <div className={classes['columns']}>
        <form
          onSubmit={(event) => {
            event.preventDefault()
            save.mutate(request)
          }}
        >
          <Stack gap="lg">
            <UrlField draft={draft} onChange={setDraft} />
            <Notes of={(address?.notes ?? []).filter(({ step }) => step !== 'password')} />
            <ConnectionForm draft={draft} onChange={setDraft} problemOf={problemOf} />
            <Stack gap="sm">
              <Title order={2}>What it is</Title>
              <PurposeFields
                draft={draft}
                set={(change) => setDraft((old) => ({ ...old, ...change }))}
                problemOf={problemOf}
                suggested={one.name}
              />
            </Stack>
            {save.error !== null && <Problem error={save.error} />}
            <Group gap="xs">
              <Button type="submit" disabled={!isChanged || draft.name.trim() === ''} loading={save.isPending}>
                Save changes
              </Button>
              {isChanged && (
                <>
                  <Button variant="default" onClick={() => setDraft(draftOf(one))}>
                    Discard
                  </Button>
                  <CopyAs {...otherMeansToChange(one.id, request)} />
                </>
              )}
            </Group>
          </Stack>
        </form>
        <Box className={classes['aside']}>
          <TryConnection
            connection={isReachable(draft) ? connectionOf(draft, address?.kind) : null}
            cannot={draft.secret === 'keep' ? KEPT : null}
            readOnly={!draft.writable}
            title="What stands here"
            verb="Try these settings"
          />
        </Box>
      </div>
      <Remove one={one} />
    </Stack>
  )
}

const KEPT =
  'What stands in the form can be tried once the password is entered. The one that is kept is tried by the test of the datasource.'

function Remove({ one }: { readonly one: Datasource }) {
  const [open, { open: ask, close }] = useDisclosure(false)
  const { data: configs = [] } = useQuery(configsQuery)
  const uses = configs.filter((each) => [each.source_datasource_id, each.target_datasource_id].includes(one.id))
  const client = useQueryClient()
  const navigate = useNavigate()
  const withFreshKey = useFreshKey()
  const remove = useMutation({
    meta: { shown: true },
    mutationFn: () =>
      withFreshKey(() =>
        api.DELETE('/api/v1/datasources/{id}', {
          params: { path: { id: one.id }, query: { confirm: one.name }, header: { 'if-match': `"${one.version}"` } },
        }),
      ),
    onSuccess: async () => {
      say(`${one.name} was removed. The database itself was left alone.`)
      await navigate({ to: '/datasources' })
      await client.invalidateQueries({ queryKey: ['datasources'] })
    },
  })
  return (
    <Stack gap="xs">
      <Title order={2}>Remove</Title>
      <Text size="sm" className="quiet">
        {uses.length === 0
          ? 'Syncline forgets the datasource and its password. The database itself is left alone.'
          : `${plural(uses.length, 'sync config')} would be left without it: ${uses.map(({ name }) => name).join(', ')}. Remove these first.`}
      </Text>
      {uses.length === 0 && (
        <Group>
          <Button variant="outline" color="red" onClick={ask}>
            Remove datasource
          </Button>
        </Group>
      )}
      {open && (
        <Confirm
          title={`Remove ${one.name}`}
          typedName={one.name}
          verb="Remove datasource"
          pending={remove.isPending}
          error={remove.error}
          beside={
            <CopyAs
              curl={curlOf('DELETE', `/api/v1/datasources/${one.id}?confirm=${encodeURIComponent(one.name)}`)}
              cli={words('syncline', 'datasources', 'remove', one.name)}
            />
          }
          onConfirm={() => remove.mutate()}
          onClose={close}
        >
          Syncline forgets {one.name}, its address and its password. The database itself and the rows in it are left
          alone.
        </Confirm>
      )}
    </Stack>
  )
}
