import { Checkbox, TextInput } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ApiProblem, body, type Schemas } from '#api/client.ts'
import { aiQuery } from '#features/settings/queries.ts'
import { SealedSetting, SecretField, SettingForm, type SettingWords } from '#features/settings/sealed-setting.tsx'
import { Fact } from '#ui/facts.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import { say } from '#ui/say.ts'

type Settings = Schemas['AiSettings']
type AiRequest = Schemas['AiRequest']

const WORDS: SettingWords = {
  variable: 'AI_URL',
  path: '/api/v1/settings/ai',
  none: 'No model is asked',
  noneAbout:
    'None is needed: suggestions for mappings are made by the service itself. A model may refine them; what it says is looked at like anything else, and applied by nobody but you.',
  test: 'Test model',
  untested: 'Nothing was tested yet. A test asks one question about columns that nobody has.',
  remove: 'Remove the model',
  removeAbout: 'Its URL and its key are forgotten. Suggestions are made without it.',
  removed: 'The setting was removed.',
}

/** The model that refines suggestions for mappings. */
export function AiTab() {
  const query = useQuery(aiQuery)
  return (
    <Answer query={query} skeleton={<Lines count={6} />}>
      {(settings) => <Known key={settings.updated_at} settings={settings} />}
    </Answer>
  )
}

function Known({ settings }: { readonly settings: Settings }) {
  const client = useQueryClient()
  const test = useMutation({
    meta: { shown: true },
    mutationFn: (endpoint: AiRequest | null) =>
      body(api.POST('/api/v1/settings/ai/test', { body: endpoint === null ? {} : { endpoint } })),
    onSuccess: () => client.invalidateQueries({ queryKey: aiQuery.queryKey }),
  })
  const hidden = settings.has_key ? <span className="mono">••••••••</span> : 'None'
  return (
    <SealedSetting
      words={WORDS}
      settings={settings}
      queryKey={aiQuery.queryKey}
      test={test}
      clear={() => api.DELETE('/api/v1/settings/ai')}
      facts={
        <>
          <Fact name="URL">
            <span className="mono">{settings.url}</span>
          </Fact>
          <Fact name="Model">
            <span className="mono">{settings.model}</span>
          </Fact>
          <Fact name="Key">
            {settings.key_reference === null ? hidden : <span className="mono">{settings.key_reference}</span>}
          </Fact>
          <Fact name="Sends">{settings.send_samples ? 'Names, types and a few values' : 'Names and types alone'}</Fact>
        </>
      }
    >
      <Form settings={settings} test={test} />
    </SealedSetting>
  )
}

interface FormProps {
  readonly settings: Settings
  readonly test: Parameters<typeof SettingForm<AiRequest>>[0]['test']
}

function Form({ settings, test }: FormProps) {
  const client = useQueryClient()
  const isStored = settings.source === 'store'
  const [url, setUrl] = useState(isStored ? (settings.url ?? '') : '')
  const [model, setModel] = useState(isStored ? (settings.model ?? '') : '')
  const [sendSamples, setSendSamples] = useState(isStored && settings.send_samples)
  const [key, setKey] = useState({
    isReference: isStored && settings.key_reference !== null,
    text: isStored ? (settings.key_reference ?? '') : '',
  })
  const given = key.text.trim()
  const withoutKey = { url: url.trim(), model: model.trim(), send_samples: sendSamples }
  const withKey = given === '' ? {} : key.isReference ? { key_reference: given } : { key: given }
  const draft: AiRequest | null =
    withoutKey.url === '' || withoutKey.model === '' ? null : { ...withoutKey, ...withKey }
  const set = useMutation({
    meta: { shown: true },
    mutationFn: (request: AiRequest) => body(api.PUT('/api/v1/settings/ai', { body: request })),
    onSuccess: (next) => {
      client.setQueryData(aiQuery.queryKey, next)
      say('The model is set up.')
    },
  })
  const refusal = set.error ?? test.error
  const problemOf = (field: string): string | undefined =>
    refusal instanceof ApiProblem ? (refusal.of(field) ?? refusal.of(`endpoint/${field}`)) : undefined
  return (
    <SettingForm
      title={isStored ? 'Change it' : 'Set up a model'}
      path={WORDS.path}
      draft={draft}
      copied={'key' in withKey ? { ...withoutKey, key: 'KEY' } : draft}
      set={set}
      test={test}
    >
      <TextInput
        label="URL"
        description="Of an endpoint that speaks the chat API of OpenAI, up to and without /chat/completions."
        placeholder="https://models.example.com/v1"
        classNames={{ input: 'mono' }}
        autoComplete="off"
        spellCheck={false}
        value={url}
        error={problemOf('url')}
        onChange={(event) => setUrl(event.currentTarget.value)}
      />
      <TextInput
        label="Model"
        autoComplete="off"
        spellCheck={false}
        classNames={{ input: 'mono' }}
        value={model}
        error={problemOf('model')}
        onChange={(event) => setModel(event.currentTarget.value)}
      />
      <SecretField
        label="Key"
        about={
          isStored && settings.has_key
            ? 'Empty: the one that is kept, as long as the URL leads to the same place.'
            : 'Kept sealed and never shown again. Empty: none.'
        }
        referenceAbout="where it is looked up."
        placeholder=""
        referencePlaceholder="env:MODEL_KEY"
        hidden
        value={key}
        error={problemOf(key.isReference ? 'key_reference' : 'key')}
        onChange={setKey}
      />
      <Checkbox
        label="Also send a few values of each column"
        description="Otherwise names and types of columns alone leave the service."
        checked={sendSamples}
        onChange={(event) => setSendSamples(event.currentTarget.checked)}
      />
    </SettingForm>
  )
}
