import { Button, Group, SegmentedControl, Stack, Text, TextInput, Title } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ApiProblem, body, type Schemas } from '#api/client.ts'
import { redisQuery } from '#features/settings/queries.ts'
import { Checks, ChecksPending } from '#ui/checks.tsx'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { Fact, Facts } from '#ui/facts.tsx'
import { Mark } from '#ui/mark.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { say } from '#ui/say.ts'
import { Time } from '#ui/time.tsx'
import { Confirm } from '#ui/confirm.tsx'
import classes from './redis-tab.module.css'

type Settings = Schemas['RedisSettings']
type RedisRequest = Schemas['RedisRequest']

/** The Redis that change sets may be kept in: which one it is, its test, and setting up another one. */
export function RedisTab() {
  const query = useQuery(redisQuery)
  return (
    <Answer query={query} skeleton={<Lines count={6} />}>
      {(settings) => <Known settings={settings} />}
    </Answer>
  )
}

function Known({ settings }: { readonly settings: Settings }) {
  const client = useQueryClient()
  const [reference, setReference] = useState(false)
  const [text, setText] = useState('')
  const given = text.trim()
  const request: RedisRequest = given === '' ? {} : reference ? { url_reference: given } : { url: given }
  const test = useMutation({
    meta: { shown: true },
    mutationFn: (what: RedisRequest) => body(api.POST('/api/v1/settings/redis/test', { body: what })),
    onSuccess: () => client.invalidateQueries({ queryKey: redisQuery.queryKey }),
  })
  const set = useMutation({
    meta: { shown: true },
    mutationFn: () => body(api.PUT('/api/v1/settings/redis', { body: request })),
    onSuccess: async (next) => {
      client.setQueryData(redisQuery.queryKey, next)
      setText('')
      say('The Redis is set up.')
      test.mutate({})
    },
  })
  const problem = set.error ?? test.error
  const shown = test.data ?? settings.last_test
  return (
    <div className={classes['columns']}>
      <Stack gap="lg">
        <Current settings={settings} onTest={() => test.mutate({})} testing={test.isPending} />
        <form
          onSubmit={(event) => {
            event.preventDefault()
            if (given !== '') set.mutate()
          }}
        >
          <Stack gap="sm">
            <Title order={2}>{settings.source === 'store' ? 'Set up another one' : 'Set up a Redis'}</Title>
            <SegmentedControl
              size="xs"
              aria-label="How the URL is given"
              value={reference ? 'reference' : 'url'}
              onChange={(value) => setReference(value === 'reference')}
              data={[
                { value: 'url', label: 'URL' },
                { value: 'reference', label: 'Reference' },
              ]}
            />
            <TextInput
              label={reference ? 'Reference' : 'URL'}
              description={
                reference
                  ? 'env:NAME, file:PATH or vault:PATH#FIELD: where the whole URL is looked up.'
                  : 'redis:// or, with TLS, rediss://. Kept sealed; the password is never shown again.'
              }
              placeholder={reference ? 'env:STAGING_REDIS' : 'rediss://user:password@redis.example.com:6379/0'}
              classNames={{ input: 'mono' }}
              autoComplete="off"
              spellCheck={false}
              value={text}
              error={problem instanceof ApiProblem ? (problem.of('url') ?? problem.of('url_reference')) : undefined}
              onChange={(event) => setText(event.currentTarget.value)}
            />
            {problem !== null && <Problem error={problem} />}
            <Group gap="xs">
              <Button type="submit" disabled={given === ''} loading={set.isPending}>
                Set up
              </Button>
              <Button
                variant="default"
                disabled={given === ''}
                loading={test.isPending}
                onClick={() => test.mutate(request)}
              >
                Test it first
              </Button>
              {given !== '' && (
                <CopyAs
                  curl={curlOf('PUT', '/api/v1/settings/redis', reference ? request : { url: withoutPassword(given) })}
                />
              )}
            </Group>
          </Stack>
        </form>
      </Stack>
      <div className={classes['aside']}>
        <Stack gap="sm">
          <Title order={2}>{test.data === undefined ? 'Last test' : 'This test'}</Title>
          {test.isPending ? (
            <ChecksPending />
          ) : shown === null ? (
            <Text size="sm" className="quiet">
              Nothing was tested yet. A test looks at name, port, encryption, login, version and memory, one by one.
            </Text>
          ) : (
            <Checks test={shown} />
          )}
        </Stack>
      </div>
    </div>
  )
}

interface CurrentProps {
  readonly settings: Settings
  readonly onTest: () => void
  readonly testing: boolean
}

function Current({ settings, onTest, testing }: CurrentProps) {
  const { source, url, url_reference: reference, has_password: hasPassword, overridden } = settings
  const [asking, setAsking] = useState(false)
  if (source === null) {
    return (
      <Stack gap={4}>
        <Mark tone="resting">No Redis is used</Mark>
        <Text size="sm" className="quiet">
          None is needed: change sets are kept on the disk of the service, or in its store. A Redis lets several
          services on several machines share them.
        </Text>
      </Stack>
    )
  }
  return (
    <Stack gap="sm">
      <Mark tone="done">{source === 'environment' ? 'From REDIS_URL in the environment' : 'Set up here'}</Mark>
      {overridden && (
        <Mark tone="person">One is set up here too, and REDIS_URL in the environment comes before it</Mark>
      )}
      <Facts>
        <Fact name="URL">
          <span className="mono">{url ?? reference ?? 'unknown'}</span>
        </Fact>
        <Fact name="Password">{hasPassword ? <span className="mono">••••••••</span> : 'None'}</Fact>
        {settings.updated_at !== null && (
          <Fact name="Set up">
            <Time at={settings.updated_at} />
            {settings.updated_by !== null && ` by ${settings.updated_by}`}
          </Fact>
        )}
      </Facts>
      <Group gap="xs">
        <Button variant="default" loading={testing} onClick={onTest}>
          Test Redis
        </Button>
        <CopyAs curl={curlOf('POST', '/api/v1/settings/redis/test', {})} />
        {(source === 'store' || overridden) && (
          <Button variant="outline" color="red" onClick={() => setAsking(true)}>
            Remove the setting
          </Button>
        )}
      </Group>
      {asking && <Clear onClose={() => setAsking(false)} />}
    </Stack>
  )
}

function Clear({ onClose }: { readonly onClose: () => void }) {
  const client = useQueryClient()
  const clear = useMutation({
    meta: { shown: true },
    mutationFn: () => api.DELETE('/api/v1/settings/redis'),
    onSuccess: async () => {
      onClose()
      say('The setting was removed. The Redis itself was left alone.')
      await client.invalidateQueries({ queryKey: redisQuery.queryKey })
    },
  })
  return (
    <Confirm
      title="Remove the Redis setting"
      verb="Remove the setting"
      pending={clear.isPending}
      error={clear.error}
      beside={<CopyAs curl={curlOf('DELETE', '/api/v1/settings/redis')} />}
      onConfirm={() => clear.mutate()}
      onClose={onClose}
    >
      Change sets that are kept in it are computed again elsewhere when they are needed; approvals of them are
      withdrawn. The Redis itself is left alone.
    </Confirm>
  )
}

/** What is copied may end in a chat or a file. */
function withoutPassword(url: string): string {
  return url.replace(/(:\/\/[^:@/]*:).*@/, '$1PASSWORD@')
}
