import { Box, Button, Stack, Title } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ApiProblem, body } from '#api/client.ts'
import {
  connectionOf,
  EMPTY_DRAFT,
  isReachable,
  requestOf,
  suggestName,
} from '#features/datasources/connection-draft.ts'
import { ConnectionForm } from '#features/datasources/connection-form.tsx'
import { Notes } from '#features/datasources/notes.tsx'
import { otherMeansToAdd } from '#features/datasources/other-means.ts'
import { PurposeFields } from '#features/datasources/purpose-fields.tsx'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { TryConnection } from '#features/datasources/try-connection.tsx'
import { UrlField } from '#features/datasources/url-field.tsx'
import { useAddress } from '#features/datasources/use-address.ts'
import { CopyAs } from '#ui/copy.tsx'
import { Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import classes from '#ui/columns.module.css'

export function NewDatasourcePage() {
  const navigate = useNavigate()
  const client = useQueryClient()
  const [draft, setDraft] = useState(EMPTY_DRAFT)
  const { data: known = [] } = useQuery(datasourcesQuery)
  const address = useAddress(draft)
  const suggested = suggestName(
    draft,
    known.map(({ name }) => name),
  )
  const request = requestOf({ ...draft, name: draft.name.trim() === '' ? suggested : draft.name }, address?.kind)
  const test = useMutation({
    meta: { shown: true },
    mutationFn: (id: string) => api.POST('/api/v1/datasources/{id}/test', { params: { path: { id } } }),
    onSettled: () => client.invalidateQueries({ queryKey: ['datasources'] }),
  })
  const add = useMutation({
    meta: { shown: true },
    mutationFn: () => body(api.POST('/api/v1/datasources', { body: request })),
    onSuccess: async ({ id }) => {
      // What the test finds stands on its page; that it fails there is no reason to forget the datasource.
      test.mutate(id)
      await client.invalidateQueries({ queryKey: ['datasources'] })
      await navigate({ to: '/datasources/$id', params: { id } })
    },
  })
  const problem = add.error instanceof ApiProblem ? add.error : null
  const problemOf = (field: string): string | undefined => problem?.of(field)
  const mayGo = isReachable(draft) && request.name !== ''
  return (
    <Page
      title="Add a datasource"
      state="A database that syncs read, or write where you say so."
      action={
        <>
          {mayGo && <CopyAs {...otherMeansToAdd(request)} />}
          <Button type="submit" form="datasource" disabled={!mayGo} loading={add.isPending}>
            Add datasource
          </Button>
        </>
      }
    >
      <div className={classes['columns']}>
        <form
          id="datasource"
          onSubmit={(event) => {
            event.preventDefault()
            if (mayGo) add.mutate()
          }}
        >
          <Stack gap="lg">
            {add.error !== null && <Problem error={add.error} />}
            <UrlField draft={draft} onChange={setDraft} autoFocus />
            <Notes of={(address?.notes ?? []).filter(({ step }) => step !== 'password')} />
            <ConnectionForm draft={draft} onChange={setDraft} problemOf={problemOf} />
            <Stack gap="sm">
              <Title order={2}>What it is</Title>
              <PurposeFields
                draft={draft}
                set={(change) => setDraft((old) => ({ ...old, ...change }))}
                problemOf={problemOf}
                suggested={suggested}
              />
            </Stack>
          </Stack>
        </form>
        <Box className={classes['aside']}>
          <TryConnection
            connection={isReachable(draft) ? connectionOf(draft, address?.kind) : null}
            readOnly={!draft.writable}
          />
        </Box>
      </div>
    </Page>
  )
}
