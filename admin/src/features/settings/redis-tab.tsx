import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ApiProblem, body, type Schemas } from '#api/client.ts'
import { redisQuery } from '#features/settings/queries.ts'
import { SealedSetting, SecretField, SettingForm, type SettingWords } from '#features/settings/sealed-setting.tsx'
import { Fact } from '#ui/facts.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import { say } from '#ui/say.ts'

type Settings = Schemas['RedisSettings']
type RedisRequest = Schemas['RedisRequest']

const WORDS: SettingWords = {
  variable: 'REDIS_URL',
  path: '/api/v1/settings/redis',
  none: 'No Redis is used',
  noneAbout:
    'None is needed: change sets are kept on the disk of the service, or in its store. A Redis lets several services on several machines share them.',
  test: 'Test Redis',
  untested: 'Nothing was tested yet. A test looks at name, port, encryption, login, version and memory, one by one.',
  remove: 'Remove the Redis setting',
  removeAbout:
    'Change sets that are kept in it are computed again elsewhere when they are needed; approvals of them are withdrawn. The Redis itself is left alone.',
  removed: 'The setting was removed. The Redis itself was left alone.',
}

/** The Redis that change sets may be kept in. */
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
  const [url, setUrl] = useState({ isReference: false, text: '' })
  const given = url.text.trim()
  const draft: RedisRequest | null = given === '' ? null : url.isReference ? { url_reference: given } : { url: given }
  const test = useMutation({
    meta: { shown: true },
    mutationFn: (wish: RedisRequest | null) => body(api.POST('/api/v1/settings/redis/test', { body: wish ?? {} })),
    onSuccess: () => client.invalidateQueries({ queryKey: redisQuery.queryKey }),
  })
  const set = useMutation({
    meta: { shown: true },
    mutationFn: (wish: RedisRequest) => body(api.PUT('/api/v1/settings/redis', { body: wish })),
    onSuccess: (next) => {
      client.setQueryData(redisQuery.queryKey, next)
      setUrl({ ...url, text: '' })
      say('The Redis is set up.')
      test.mutate(null)
    },
  })
  const problem = set.error ?? test.error
  return (
    <SealedSetting
      words={WORDS}
      settings={settings}
      queryKey={redisQuery.queryKey}
      test={test}
      clear={() => api.DELETE('/api/v1/settings/redis')}
      facts={
        <>
          <Fact name="URL">
            <span className="mono">{settings.url ?? settings.url_reference ?? 'unknown'}</span>
          </Fact>
          <Fact name="Password">{settings.has_password ? <span className="mono">••••••••</span> : 'None'}</Fact>
        </>
      }
    >
      <SettingForm
        title={settings.source === 'store' ? 'Set up another one' : 'Set up a Redis'}
        path={WORDS.path}
        draft={draft}
        copied={url.isReference ? draft : { url: withoutPassword(given) }}
        set={set}
        test={test}
      >
        <SecretField
          label="URL"
          about="redis:// or, with TLS, rediss://. Kept sealed; the password is never shown again."
          referenceAbout="where the whole URL is looked up."
          placeholder="rediss://user:password@redis.example.com:6379/0"
          referencePlaceholder="env:STAGING_REDIS"
          value={url}
          error={problem instanceof ApiProblem ? (problem.of('url') ?? problem.of('url_reference')) : undefined}
          onChange={setUrl}
        />
      </SettingForm>
    </SealedSetting>
  )
}

function withoutPassword(url: string): string {
  return url.replace(/(:\/\/[^:@/]*:).*@/, '$1PASSWORD@')
}
