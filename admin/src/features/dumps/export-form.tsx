import { Radio, SegmentedControl, Stack, Text, TextInput, Title } from '@mantine/core'
import { useState } from 'react'
import type { ApiProblem } from '#api/client.ts'
import { useDatasource } from '#features/datasources/queries.ts'
import { ChooseDatasource } from '#features/dumps/choose-datasource.tsx'
import { JobForm, useAsking } from '#features/dumps/job-form.tsx'
import { exportMeans } from '#features/dumps/means.ts'
import { startExport, type ExportRequest } from '#features/dumps/queries.ts'
import { FIRST_READING, isChosen, NO_NAMES, readingRequest, type ReadingDraft } from '#features/dumps/reading-draft.ts'
import { ContentField, PartFields, ReadersField, RightsFields } from '#features/dumps/reading-fields.tsx'
import { COMPRESSION_WORDS, STYLE_WORDS } from '#features/dumps/words.ts'
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
  const [id, setId] = useState(first)
  const { draft, set, problem, ...asking } = useAsking(FIRST, startExport, onStarted)
  const datasource = useDatasource(id)
  return (
    <JobForm
      title="Export a database"
      state="Into one file of plain SQL, of one moment. The database is only read."
      verb="Export"
      asking={asking}
      request={datasource !== undefined && isChosen(draft) ? requestOf(datasource.name, draft) : null}
      means={exportMeans}
    >
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
    </JobForm>
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
