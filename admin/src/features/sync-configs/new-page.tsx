import { Button, Group, Select, SimpleGrid, Stack, Text, TextInput, Title } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { ApiProblem, api, body } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { LetWrite } from '#features/datasources/let-write.tsx'
import { datasourcesQuery, type Datasource } from '#features/datasources/queries.ts'
import { Choose } from '#features/sync-configs/fields.tsx'
import type { Document, Table } from '#features/sync-configs/document.ts'
import { configQuery, configsQuery } from '#features/sync-configs/queries.ts'
import { SuggestTables } from '#features/sync-configs/suggest-tables.tsx'
import { DELETES, DIRECTIONS, SCHEMA_POLICIES } from '#features/sync-configs/words.ts'
import { fileMeans } from '#lib/config-file.ts'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { ButtonLink, TextLink } from '#ui/link.tsx'
import { Environment, Mark } from '#ui/mark.tsx'
import { Answer, Empty, Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

/** Source, target, tables, a name; all else has a default that takes nothing away. The first run is offered as a dry run. */
export function NewPage() {
  const datasources = useQuery(datasourcesQuery)
  const mayEdit = useMay('operator')
  return (
    <Page title="New sync config" state="It writes nothing until it is run, and its first run is a dry run.">
      {mayEdit ? (
        <Answer query={datasources}>
          {(all) => (all.length < 2 ? <TooFew count={all.length} /> : <Form datasources={all} />)}
        </Answer>
      ) : (
        <Text size="sm">Only operators and admins make sync configs; this key reads.</Text>
      )}
    </Page>
  )
}

function TooFew({ count }: { readonly count: number }) {
  return (
    <Empty
      title={count === 0 ? 'There is no datasource yet' : 'There is only one datasource'}
      action={<ButtonLink to="/datasources/new">Add a datasource</ButtonLink>}
    >
      A sync config connects two databases: one to read from, and one to write to. Add{' '}
      {count === 0 ? 'both' : 'the other one'} first.
    </Empty>
  )
}

function Form({ datasources }: { readonly datasources: readonly Datasource[] }) {
  const asked = useSearch({ from: '/shell/sync-configs/new' })
  const [first] = useState(() => endsOf(datasources, asked))
  const [source, setSource] = useState(first.source)
  const [target, setTarget] = useState(first.target)
  const [name, setName] = useState<string | null>(null)
  const [tables, setTables] = useState<readonly Table[] | null>(null)
  const [policies, setPolicies] = useState<Policies>({})
  const named = (id: string | null): string => datasources.find((one) => one.id === id)?.name ?? ''
  const suggestion = source === null || target === null ? '' : `${named(source)} to ${named(target)}`
  const document: Document = {
    name: name ?? suggestion,
    source_datasource_id: source ?? '',
    target_datasource_id: target ?? '',
    ...(tables === null ? {} : { tables: [...tables] }),
    ...policies,
  }
  const make = useMake(document)
  const problem = (field: string): string | undefined =>
    make.error instanceof ApiProblem ? make.error.of(field) : undefined
  const lacks = lackOf(document)
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        make.mutate()
      }}
    >
      <Stack gap="lg">
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md" maw={920}>
          <EndChoice
            label="Source"
            about="Rows are read from here."
            isWritten={policies.direction === 'two_way'}
            datasources={datasources}
            value={source}
            onChange={setSource}
            error={problem('source_datasource_id')}
          />
          <EndChoice
            label="Target"
            about="Rows are written here."
            isWritten
            datasources={datasources}
            value={target}
            onChange={setTarget}
            error={problem('target_datasource_id')}
          />
        </SimpleGrid>
        {source !== null && source === target && <Mark tone="failed">Source and target are the same datasource.</Mark>}
        {source !== null && target !== null && source !== target && (
          <>
            <SuggestTables
              key={`${source} ${target}`}
              source={source}
              target={target}
              makesMissing={policies.schema_policy === 'create'}
              onMakeMissing={() => setPolicies({ ...policies, schema_policy: 'create' })}
              onChange={setTables}
            />
            <Stack gap="sm">
              <Title order={2}>Name and policies</Title>
              <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md" maw={920}>
                <TextInput
                  label="Name"
                  description="Commands and paths call it by this."
                  inputWrapperOrder={['label', 'input', 'description', 'error']}
                  value={document.name}
                  onChange={(event) => setName(event.currentTarget.value)}
                  maw={440}
                  error={problem('name')}
                />
                <PolicyFields policies={policies} onChange={setPolicies} />
              </SimpleGrid>
              <Text size="sm" className="quiet">
                Everything else has its default: changes are found by digests, the source wins, a run that would delete
                or overwrite more than 10 % of a table stops and asks. All of it can be changed before the first run.
              </Text>
            </Stack>
          </>
        )}
        {make.error !== null && <Problem error={make.error} />}
        <Group gap="xs">
          <Button type="submit" disabled={lacks !== null} loading={make.isPending}>
            Make it, then look at a dry run
          </Button>
          {lacks !== null && (
            <Text size="sm" className="quiet">
              {lacks}
            </Text>
          )}
          {lacks === null && (
            <CopyAs
              curl={curlOf('POST', '/api/v1/sync-configs', document)}
              {...fileMeans({ sync_configs: [document] })}
            />
          )}
        </Group>
      </Stack>
    </form>
  )
}

interface Asked {
  readonly source?: string | undefined
  readonly target?: string | undefined
}

/** The ends that somebody asked for. Of just two datasources, the writable one is the target, and the other one the other end. */
function endsOf(
  datasources: readonly Datasource[],
  { source, target }: Asked,
): { readonly source: string | null; readonly target: string | null } {
  if (datasources.length !== 2) return { source: source ?? null, target: target ?? null }
  const otherThan = (id: string | undefined): string | null =>
    id === undefined ? null : (datasources.find((one) => one.id !== id)?.id ?? null)
  const [only, ...more] = datasources.filter(({ writable }) => writable)
  const likely = source === undefined && more.length === 0 ? (target ?? only?.id) : target
  return { source: source ?? otherThan(likely), target: likely ?? otherThan(source) }
}

/** What is still to be said before it can be made. */
function lackOf({ name, source_datasource_id: from, target_datasource_id: to, tables }: Document): string | null {
  if (from === '' && to === '') return 'Choose a source and a target first.'
  if (from === '' || to === '') return from === '' ? 'Choose a source first.' : 'Choose a target first.'
  if (from === to) return 'Choose another source or target first.'
  if (tables?.length === 0) return 'Choose at least one table first.'
  return name === '' ? 'Give it a name first.' : null
}

type Policies = Pick<Document, 'direction' | 'delete_policy' | 'schema_policy'>

function PolicyFields(fields: Pick<PolicyProps, 'policies' | 'onChange'>) {
  return (
    <>
      <Policy {...fields} name="direction" label="Direction" choices={DIRECTIONS} />
      <Policy {...fields} name="delete_policy" label="Rows that the source no longer has" choices={DELETES} />
      <Policy {...fields} name="schema_policy" label="What the target lacks" choices={SCHEMA_POLICIES} />
    </>
  )
}

interface PolicyProps {
  readonly name: keyof Policies
  readonly label: string
  readonly choices: Parameters<typeof Choose>[0]['choices']
  readonly policies: Policies
  readonly onChange: (policies: Policies) => void
}

function Policy({ name, label, choices, policies, onChange }: PolicyProps) {
  return (
    <Choose
      label={label}
      choices={choices}
      value={policies[name]}
      onChange={(value) => {
        const { [name]: _, ...others } = policies
        onChange(value === undefined ? others : { ...others, [name]: value })
      }}
      mayEdit
    />
  )
}

function useMake(document: Document) {
  const client = useQueryClient()
  const navigate = useNavigate()
  // A request that is sent twice makes one config.
  const [once] = useState(() => crypto.randomUUID())
  return useMutation({
    meta: { shown: true },
    mutationFn: () =>
      body(
        api.POST('/api/v1/sync-configs', {
          params: { header: { 'idempotency-key': once } },
          body: document,
        }),
      ),
    onSuccess: async (made) => {
      client.setQueryData(configQuery(made.id).queryKey, made)
      await client.invalidateQueries({ queryKey: configsQuery.queryKey, exact: true })
      await navigate({ to: '/sync-configs/$id', params: { id: made.id }, search: { run: 'dry' } })
    },
  })
}

interface EndChoiceProps {
  readonly label: string
  readonly about: string
  /** Runs write to it. */
  readonly isWritten: boolean
  readonly datasources: readonly Datasource[]
  readonly value: string | null
  readonly onChange: (value: string | null) => void
  readonly error: string | undefined
}

function EndChoice({ label, about, isWritten, datasources, value, onChange, error }: EndChoiceProps) {
  const chosen = datasources.find(({ id }) => id === value)
  return (
    <Stack gap={4}>
      <Select
        label={label}
        description={about}
        placeholder="Choose a datasource"
        searchable
        allowDeselect={false}
        data={datasources.map(({ id, name }) => ({ value: id, label: name }))}
        value={value}
        onChange={onChange}
        error={error}
        renderOption={({ option }) => {
          const one = datasources.find(({ id }) => id === option.value)
          return (
            <Group gap="xs">
              {option.label}
              {one !== undefined && <Environment name={one.effective_environment} />}
            </Group>
          )
        }}
      />
      {chosen === undefined ? (
        <Text size="xs" className="quiet">
          Not in the list?{' '}
          <TextLink to="/datasources/new" size="xs">
            Add a datasource
          </TextLink>
        </Text>
      ) : (
        <Group gap="xs">
          <Environment name={chosen.effective_environment} />
          <Text size="xs" className="quiet mono">
            {chosen.host}/{chosen.database}
          </Text>
        </Group>
      )}
      {isWritten && chosen !== undefined && <LetWrite to={chosen} />}
    </Stack>
  )
}
