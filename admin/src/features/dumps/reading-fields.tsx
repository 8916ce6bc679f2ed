import { MultiSelect, NumberInput, Radio, SegmentedControl, Stack, Switch, TagsInput, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import type { ApiProblem } from '#api/client.ts'
import type { Datasource } from '#features/datasources/queries.ts'
import { flips } from '#features/dumps/flips.ts'
import { FIRST_READING, type Part, type ReadingDraft } from '#features/dumps/reading-draft.ts'
import { CONTENT_WORDS } from '#features/dumps/words.ts'
import { tablesQuery } from '#features/sync-configs/queries.ts'
import { plural } from '#lib/format.ts'
import { formatTableName } from '#lib/table-name.ts'

interface ReadingFieldsProps {
  readonly draft: ReadingDraft
  readonly set: (change: Partial<ReadingDraft>) => void
  readonly problem: ApiProblem | null
}

export function ContentField({ draft, set }: Omit<ReadingFieldsProps, 'problem'>) {
  return (
    <Radio.Group
      label="Content"
      value={draft.content}
      onChange={(content) => set({ content: content as ReadingDraft['content'] })}
    >
      <Stack gap={10} mt={6}>
        {CONTENT_WORDS.map(([value, word, about]) => (
          <Radio key={value} value={value} label={word} description={about} size="xs" />
        ))}
      </Stack>
    </Radio.Group>
  )
}

/** All of it, or what is chosen from the catalogue; where that cannot be read, names can still be written. */
export function PartFields({ datasource, draft, set, problem }: ReadingFieldsProps & { readonly datasource: string }) {
  const { data, error, isPending } = useQuery(tablesQuery(datasource))
  const [schemas, tables] = useMemo(() => {
    const found = data ?? []
    const sorted = (names: readonly string[]): string[] => [...new Set(names)].toSorted((a, b) => a.localeCompare(b))
    return [
      sorted(found.map(({ table }) => table.schema)),
      sorted(
        found
          .filter(({ kind }) => kind === 'table' || kind === 'partitioned_table')
          .map(({ table }) => formatTableName(table)),
      ),
    ]
  }, [data])
  const names = (of: 'schemas' | 'tables' | 'withoutSchemas' | 'withoutRows') => ({
    value: draft[of],
    onChange: (chosen: readonly string[]) => set({ [of]: chosen }),
  })
  return (
    <Stack gap="sm">
      <div>
        <Text size="sm" fw={700} id="part" mb={4}>
          How much of it
        </Text>
        <SegmentedControl
          aria-labelledby="part"
          value={draft.part}
          data={[
            { value: 'all', label: 'All of it' },
            { value: 'schemas', label: 'Some schemas' },
            { value: 'tables', label: 'Some tables' },
          ]}
          onChange={(part) => set({ part: part as Part })}
        />
        <Text size="xs" className="quiet" mt={4}>
          {error !== null
            ? `The catalogue cannot be read: ${error.message}`
            : isPending
              ? 'The catalogue is read.'
              : `${plural(tables.length, 'table')} in ${plural(schemas.length, 'schema')}; schemas of the system, of the provider and our own are left out.`}
        </Text>
      </div>
      {draft.part === 'schemas' && (
        <Schemas
          {...names('schemas')}
          label="Schemas"
          offered={schemas}
          nothing="Choose schemas"
          clear="No schema"
          error={problem?.of('schemas')}
        />
      )}
      {draft.part === 'tables' && (
        <Tables
          {...names('tables')}
          label="Tables"
          description="With the types, functions and sequences that they need. * stands for any characters: sales.*, order*"
          offered={tables}
          nothing="Choose or write names"
          clear="No table"
          error={problem?.of('tables')}
        />
      )}
      {draft.withoutSchemas.length > 0 && (
        <Schemas
          {...names('withoutSchemas')}
          label="Without the schemas"
          offered={schemas}
          nothing="No schema"
          clear="All schemas"
          error={problem?.of('exclude_schemas')}
        />
      )}
      {draft.content !== 'schema' && (
        <Tables
          {...names('withoutRows')}
          label="Without the rows of"
          description="Such as logs and caches; the tables are made all the same."
          offered={tables}
          nothing="No table"
          clear="Rows of all tables"
          error={problem?.of('exclude_tables')}
        />
      )}
    </Stack>
  )
}

interface NamesProps {
  readonly label: string
  readonly offered: readonly string[]
  readonly value: readonly string[]
  /** What stands there where nothing is chosen. */
  readonly nothing: string
  /** What taking all of it away is called. */
  readonly clear: string
  readonly error: string | undefined
  readonly onChange: (names: readonly string[]) => void
}

function common({ offered, value, nothing, clear, ...field }: NamesProps) {
  return {
    ...field,
    placeholder: value.length === 0 ? nothing : '',
    data: offered,
    clearable: true,
    clearButtonProps: { 'aria-label': clear },
    value: [...value],
  }
}

function Schemas(props: NamesProps) {
  return <MultiSelect {...common(props)} searchable />
}

/** More of them are found by typing. */
const OFFERED = 100

/** Names that are chosen, or patterns that are written. */
function Tables({ description, ...props }: NamesProps & { readonly description: string }) {
  return <TagsInput {...common(props)} description={description} limit={OFFERED} />
}

export function RightsFields({
  draft,
  set,
  source,
}: Omit<ReadingFieldsProps, 'problem'> & { readonly source: Datasource | undefined }) {
  const flip = flips(draft, set)
  return (
    <Stack gap="xs">
      <Switch
        {...flip('owners')}
        label="With who owns what"
        description="The roles must be there where it is restored."
      />
      <Switch {...flip('grants')} label="With who has been granted what" />
      {source?.kind === 'supabase' && (
        <Switch
          {...flip('sameProvider')}
          label="For another Supabase project"
          description="Foreign keys, policies and all else that leads to auth, storage and its other schemas stays. Otherwise it is left out, and named."
        />
      )}
    </Stack>
  )
}

const MOST_PARALLEL = 8

export function ReadersField({ draft, set, problem }: ReadingFieldsProps) {
  return (
    <NumberInput
      label="Readers at once"
      description={`From 1 to ${MOST_PARALLEL}: tables, and pieces of large ones. What comes of it is the same.`}
      min={1}
      max={MOST_PARALLEL}
      allowDecimal={false}
      value={draft.parallel}
      error={problem?.of('parallel')}
      onChange={(parallel) => set({ parallel: typeof parallel === 'number' ? parallel : FIRST_READING.parallel })}
    />
  )
}
