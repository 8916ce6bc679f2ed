import { Button, Code, Group, Stack, Text, Title } from '@mantine/core'
import { IconPlugConnected } from '@tabler/icons-react'
import { useQuery, type UseMutationResult } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { Schemas } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { ConfirmServer } from '#features/datasources/confirm-server.tsx'
import { draftOf, urlOf } from '#features/datasources/connection-draft.ts'
import { providerOf } from '#features/datasources/facts.tsx'
import type { Datasource } from '#features/datasources/queries.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'
import { plural } from '#lib/format.ts'
import { Checks, ChecksPending } from '#ui/checks.tsx'
import { CopyAs, CopyButton, curlOf } from '#ui/copy.tsx'
import { Fact, Facts } from '#ui/facts.tsx'
import { ButtonLink } from '#ui/link.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import { Time } from '#ui/time.tsx'
import { words } from '#features/datasources/other-means.ts'
import classes from '#ui/columns.module.css'

type Test = UseMutationResult<Schemas['ConnectionTest'], Error, void>

export function TestButton({ test }: { readonly test: Test }) {
  const may = useMay('operator')
  if (!may) return null
  return (
    <Button
      leftSection={<IconPlugConnected size={14} aria-hidden />}
      loading={test.isPending}
      onClick={() => test.mutate()}
    >
      Test connection
    </Button>
  )
}

/** What is known of a datasource, what its last test found, and what uses it. */
export function DatasourceOverview({ one, test }: { readonly one: Datasource; readonly test: Test }) {
  return (
    <div className={classes['columns']}>
      <Stack gap="xl">
        <WhatItIs one={one} />
        <UsedBy one={one} />
      </Stack>
      <div className={classes['aside']}>
        <LastTest one={one} test={test} />
      </div>
    </div>
  )
}

function WhatItIs({ one }: { readonly one: Datasource }) {
  const url = urlOf(draftOf(one))
  return (
    <Facts>
      <Fact name="Connection">
        <Group gap={4} wrap="nowrap" align="flex-start">
          <Code style={{ overflowWrap: 'anywhere' }}>{url}</Code>
          <span style={{ flex: 'none' }}>
            <CopyButton text={url} />
          </span>
        </Group>
      </Fact>
      <Fact name="Provider">{providerOf(one)}</Fact>
      {one.project_url === null && (
        <>
          <Fact name="User">
            <span className="mono">{one.user}</span>
          </Fact>
          <Fact name="Encryption">{one.ssl ?? 'The safest for the address'}</Fact>
        </>
      )}
      <Fact name={one.project_url === null ? 'Password' : 'Key'}>{secretOf(one)}</Fact>
      {one.ca !== null && <Fact name="CA">Certificates of its own</Fact>}
      <Fact name="Schemas">{one.schemas === null ? 'All but those of the provider' : one.schemas.join(', ')}</Fact>
      <Fact name="Connections">{plural(one.pool_size, 'connection')} at most, of all jobs together</Fact>
      <Fact name="Time to connect">{plural(one.connect_timeout_ms / 1_000, 'second')} at most</Fact>
      <Fact name="Environment">{environmentOf(one)}</Fact>
      <Fact name="Writes">{writesOf(one)}</Fact>
      {one.origin === 'environment' && (
        <Fact name="Declared">By a variable in the environment of the service: it is changed there.</Fact>
      )}
      <Fact name="Added">
        <Time at={one.created_at} />
      </Fact>
      <Fact name="Changed">
        <Time at={one.updated_at} />
      </Fact>
    </Facts>
  )
}

function secretOf(one: Datasource): ReactNode {
  const reference = one.service_role_key_reference ?? one.password_reference
  if (reference !== null) return <Code>{reference}</Code>
  if (!one.has_password) return 'None'
  return (
    <>
      <span className="mono">••••••••</span> <span className="quiet">kept sealed</span>
    </>
  )
}

function environmentOf(one: Datasource): string {
  const word = one.effective_environment
  return one.environment === null ? `${word}, by its address` : word
}

function writesOf(one: Datasource): string {
  if (!one.writable) return 'Never: syncs read it'
  return one.protected ? 'Syncs may write, with its name typed out each time' : 'Syncs may write'
}

function LastTest({ one, test }: { readonly one: Datasource; readonly test: Test }) {
  const may = useMay('operator')
  const last = test.data ?? one.last_test
  const moved = last?.checks.some(({ step, state }) => step === 'same server' && state === 'fail') === true
  return (
    <Stack gap="sm">
      <Group justify="space-between" mih={30}>
        <Title order={2}>Last test</Title>
        {may && (
          <CopyAs
            curl={curlOf('POST', `/api/v1/datasources/${one.id}/test`)}
            cli={words('syncline', 'datasources', 'test', one.name)}
          />
        )}
      </Group>
      {test.isPending ? (
        <ChecksPending />
      ) : last === null ? (
        <Text size="sm" className="quiet">
          It was never tested. A test looks at name, port, encryption, login, database, server and rights, one by one,
          and writes nothing.
        </Text>
      ) : (
        <>
          {moved && <ConfirmServer one={one} onConfirmed={() => test.mutate()} />}
          <Checks test={last} readOnly={!one.writable} />
        </>
      )}
    </Stack>
  )
}

/** The sync configs that name it. */
function UsedBy({ one }: { readonly one: Datasource }) {
  const query = useQuery(configsQuery)
  const may = useMay('operator')
  return (
    <Stack gap="xs">
      <Title order={2}>Used by</Title>
      <Answer query={query} skeleton={<Lines count={2} />}>
        {(all) => {
          const uses = all.filter((each) => [each.source_datasource_id, each.target_datasource_id].includes(one.id))
          if (uses.length === 0) {
            return (
              <Text size="sm" className="quiet">
                No sync config reads or writes it.
              </Text>
            )
          }
          return (
            <ul className="plain-list">
              {uses.map(({ id, name, source_datasource_id: source }) => (
                <li key={id}>
                  <Link to="/sync-configs/$id" params={{ id }} className="plain-link">
                    {name}
                  </Link>{' '}
                  <span className="quiet">{source === one.id ? 'reads it' : 'writes to it'}</span>
                </li>
              ))}
            </ul>
          )
        }}
      </Answer>
      {may && (
        <Group gap="xs">
          <ButtonLink variant="default" to="/sync-configs/new" search={{ source: one.id }}>
            Use it as a source
          </ButtonLink>
          {one.writable && (
            <ButtonLink variant="default" to="/sync-configs/new" search={{ target: one.id }}>
              Use it as a target
            </ButtonLink>
          )}
        </Group>
      )}
    </Stack>
  )
}
