import { Button, Radio, SegmentedControl, Stack, Text, TextInput, Title } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { ApiProblem } from '#api/client.ts'
import { useDatasource } from '#features/datasources/queries.ts'
import { ChooseDatasource } from '#features/dumps/choose-datasource.tsx'
import { exportMeans } from '#features/dumps/means.ts'
import { startExport, type ExportRequest } from '#features/dumps/queries.ts'
import { FIRST_READING, isChosen, NO_NAMES, readingRequest, type ReadingDraft } from '#features/dumps/reading-draft.ts'
import { ContentField, PartFields, ReadersField, RightsFields } from '#features/dumps/reading-fields.tsx'
import { COMPRESSION_WORDS, STYLE_WORDS } from '#features/dumps/words.ts'
import { CopyAs } from '#ui/copy.tsx'
import { Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import classes from './dumps.module.css'

interface Draft extends ReadingDraft {
  readonly style: NonNullable<ExportRequest['style']>
  readonly compression: NonNullable<ExportRequest['compression']>
  readonly passphrase: string
}

const FIRST: Draft = { ...FIRST_READING, style: 'copy', compression: 'zstd', passphrase: '' }

/** Only what is not as it would be anyway. */
function requestOf(datasource: string, draft: Draft): ExportRequest {
  const { style, compression, passphrase } = draft
  return {
    datasource,
    ...readingRequest(draft),
    ...(style === FIRST.style ? {} : { style }),
    ...(compression === FIRST.compression ? {} : { compression }),
    ...(passphrase === '' ? {} : { passphrase_reference: passphrase }),
  }
}

interface ExportFormProps {
  /** The datasource that is chosen at first, by id. */
  readonly first: string | null
  readonly onStarted: (job: string) => void
}

export function ExportForm({ first, onStarted }: ExportFormProps) {
  const client = useQueryClient()
  const [id, setId] = useState(first)
  const [draft, setDraft] = useState(FIRST)
  const datasource = useDatasource(id)
  const request = requestOf(datasource?.name ?? '', draft)
  const start = useMutation({
    meta: { shown: true },
    mutationFn: () => startExport(request, crypto.randomUUID()),
    onSuccess: async ({ job_id: job }) => {
      await client.invalidateQueries({ queryKey: ['jobs'] })
      onStarted(job)
    },
  })
  const problem = start.error instanceof ApiProblem ? start.error : null
  const set = (change: Partial<Draft>): void => {
    start.reset()
    setDraft((old) => ({ ...old, ...change }))
  }
  const mayGo = datasource !== undefined && isChosen(draft)
  return (
    <Page
      title="Export a database"
      state="Into one file of plain SQL, of one moment. The database is only read."
      action={
        <>
          {mayGo && <CopyAs {...exportMeans(request)} />}
          <Button type="submit" form="export" disabled={!mayGo} loading={start.isPending}>
            Export
          </Button>
        </>
      }
    >
      <form
        id="export"
        onSubmit={(event) => {
          event.preventDefault()
          if (mayGo) start.mutate()
        }}
      >
        <Stack gap="lg">
          {start.error !== null && <Problem error={start.error} />}
          <div className={classes['split']}>
            <Stack gap="lg">
              <ChooseDatasource
                label="Database"
                description="PostgreSQL, also of Supabase and Neon, reached by its connection string."
                value={id}
                error={problem?.of('datasource')}
                onChange={(next) => {
                  setId(next)
                  set(NO_NAMES)
                }}
              />
              <ContentField draft={draft} set={set} />
              {id !== null && <PartFields datasource={id} draft={draft} set={set} problem={problem} />}
            </Stack>
            <How draft={draft} set={set} problem={problem} />
          </div>
        </Stack>
      </form>
    </Page>
  )
}

interface HowProps {
  readonly draft: Draft
  readonly set: (change: Partial<Draft>) => void
  readonly problem: ApiProblem | null
}

/** What the file is like. */
function How({ draft, set, problem }: HowProps) {
  return (
    <Stack gap="lg">
      <Title order={2}>The file</Title>
      <Radio.Group label="Rows" value={draft.style} onChange={(style) => set({ style: style as Draft['style'] })}>
        <Stack gap={10} mt={6}>
          {STYLE_WORDS.map(([value, word, about]) => (
            <Radio key={value} value={value} label={word} description={about} size="xs" />
          ))}
        </Stack>
      </Radio.Group>
      <div>
        <Text size="sm" fw={700} id="packed" mb={4}>
          Packed
        </Text>
        <SegmentedControl
          aria-labelledby="packed"
          value={draft.compression}
          data={COMPRESSION_WORDS.map(([value, label]) => ({ value, label }))}
          onChange={(compression) => set({ compression: compression as Draft['compression'] })}
        />
      </div>
      <RightsFields draft={draft} set={set} />
      <ReadersField draft={draft} set={set} problem={problem} />
      <TextInput
        label="Passphrase"
        description="Seals the file. Where the service finds it: env:NAME, file:PATH or vault:PATH#FIELD. Empty: not sealed."
        placeholder="env:DUMP_PASSPHRASE"
        autoComplete="off"
        value={draft.passphrase}
        error={problem?.of('passphrase_reference')}
        onChange={(event) => set({ passphrase: event.currentTarget.value.trim() })}
      />
    </Stack>
  )
}
