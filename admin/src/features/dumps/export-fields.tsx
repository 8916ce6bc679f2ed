import { Radio, SegmentedControl, Stack, Text, TextInput, Title } from '@mantine/core'
import type { ApiProblem } from '#api/client.ts'
import type { Datasource } from '#features/datasources/queries.ts'
import type { ExportDraft } from '#features/dumps/export-draft.ts'
import { ContentField, PartFields, ReadersField, RightsFields } from '#features/dumps/reading-fields.tsx'
import { COMPRESSION_WORDS, STYLE_WORDS } from '#features/dumps/words.ts'

interface ExportFieldsProps {
  readonly draft: ExportDraft
  readonly set: (change: Partial<ExportDraft>) => void
  readonly problem: ApiProblem | null
}

/** What of the database is exported. */
export function WhatFields({
  datasource,
  ...fields
}: ExportFieldsProps & {
  /** By its id; null as long as none is chosen. */
  readonly datasource: string | null
}) {
  return (
    <>
      <ContentField {...fields} />
      {datasource !== null && <PartFields {...fields} datasource={datasource} />}
    </>
  )
}

/** What the file is like. */
export function HowFields({
  draft,
  set,
  problem,
  source,
}: ExportFieldsProps & { readonly source: Datasource | undefined }) {
  return (
    <Stack gap="lg">
      <Title order={2}>The file</Title>
      <Radio.Group label="Rows" value={draft.style} onChange={(style) => set({ style: style as ExportDraft['style'] })}>
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
          onChange={(compression) => set({ compression: compression as ExportDraft['compression'] })}
        />
      </div>
      <RightsFields draft={draft} set={set} source={source} />
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
