import { Button, Group, Select, Stack, Text } from '@mantine/core'
import { IconCopy, IconDatabaseExport, IconDatabaseImport, IconLock, IconUpload } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useMemo, useState, type ReactNode } from 'react'
import type { Schemas } from '#api/client.ts'
import { useIsUnscoped, useMay } from '#app/session.ts'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { DumpMenu } from '#features/dumps/dump-actions.tsx'
import { Origin, Said, Tried } from '#features/dumps/dump-marks.tsx'
import { exportSchedulesQuery, hasDumps, useDumps, type Dump } from '#features/dumps/queries.ts'
import { UploadFile } from '#features/dumps/upload-file.tsx'
import { nameOfDump, ORIGIN_WORDS, originWord, packedWord, shortContent, styleWord } from '#features/dumps/words.ts'
import { given, useSetFilters } from '#lib/filters.ts'
import { formatBytes, formatCount, plural } from '#lib/format.ts'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { Dialog } from '#ui/dialog.tsx'
import { FilterBar } from '#ui/filter-bar.tsx'
import { ButtonLink, TextLink } from '#ui/link.tsx'
import { Mark } from '#ui/mark.tsx'
import { Empty, Lines, Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { SearchField } from '#ui/search-field.tsx'
import { Time } from '#ui/time.tsx'

/** Databases as files: what there is, and the ways in and out. */
export function DumpsPage() {
  const search = useSearch({ from: '/shell/dumps' })
  const dumps = useDumps(given(search))
  const navigate = useNavigate()
  const mayAct = useMay('operator')
  const rows = useMemo(() => dumps.data?.pages.flatMap(({ items }) => items) ?? [], [dumps.data])
  const columns = useMemo(() => columnsFor(mayAct), [mayAct])
  const isFiltered = Object.keys(search).length > 0
  const isEmpty = dumps.data !== undefined && rows.length === 0 && !isFiltered
  // Of the page itself: the list may become empty or full below it while somebody uploads.
  const [uploading, setUploading] = useState(false)
  const ways = <Ways onUpload={() => setUploading(true)} />
  return (
    <Page
      title="Dumps"
      state={<ListState page={dumps.data?.pages[0]} />}
      action={mayAct && !isEmpty ? ways : undefined}
      filters={(isFiltered || rows.length > 0) && <DumpFilterBar />}
    >
      {dumps.error !== null && dumps.data === undefined ? (
        <Problem error={dumps.error} retry={() => void dumps.refetch()} />
      ) : dumps.data === undefined ? (
        <Lines count={8} />
      ) : rows.length === 0 ? (
        <NoDumps isFiltered={isFiltered} ways={mayAct ? ways : null} />
      ) : (
        <DataTable
          name="dumps"
          label="Dumps"
          columns={columns}
          rows={rows}
          keyOf={({ id }) => id}
          onOpen={({ id }) => void navigate({ to: '/dumps/$id', params: { id } })}
          more={dumps}
        />
      )}
      {uploading && <UploadDialog onClose={() => setUploading(false)} />}
    </Page>
  )
}

function ListState({ page }: { readonly page: Schemas['DumpPage'] | undefined }) {
  if (page === undefined) return 'Databases as files of plain SQL, which psql restores too.'
  const { total, drills } = page
  return (
    <>
      {total.dumps === 0
        ? 'Databases as files of plain SQL, which psql restores too.'
        : `${plural(total.dumps, 'dump')}, ${formatBytes(total.bytes)} of the ${formatBytes(total.most_bytes)} that they may take up.`}{' '}
      {drills !== null && <Drills {...drills} />} <Scheduled />
    </>
  )
}

/** How many are exported by themselves, and the way there. */
function Scheduled() {
  const { data } = useQuery(exportSchedulesQuery)
  if (data === undefined) return null
  const overdue = data.filter(({ overdue_since: since }) => since !== null).length
  return (
    <>
      <TextLink to="/dumps/schedules" underline="always">
        {data.length === 0 ? 'No export is scheduled' : plural(data.length, 'scheduled export')}
      </TextLink>
      {overdue === 0 ? '.' : `, ${overdue} overdue.`}
    </>
  )
}

/** How new exports are tried by themselves. */
function Drills({ into, datasource_id: id }: NonNullable<Schemas['DumpPage']['drills']>) {
  if (id === null) return `New exports are not tried: there is no datasource ${into} (DUMP_DRILL_INTO).`
  return (
    <>
      The newest export of each database is tried by itself on the server of{' '}
      <TextLink to="/datasources/$id" params={{ id }} underline="always">
        {into}
      </TextLink>
      .
    </>
  )
}

/** The ways in and out, the most used last. */
function Ways({ onUpload }: { readonly onUpload: () => void }) {
  const isUnscoped = useIsUnscoped()
  return (
    <>
      {isUnscoped && (
        <Button variant="default" leftSection={<IconUpload size={14} aria-hidden />} onClick={onUpload}>
          Upload a file
        </Button>
      )}
      <ButtonLink to="/dumps/import" variant="default" leftSection={<IconDatabaseImport size={14} aria-hidden />}>
        Import
      </ButtonLink>
      <ButtonLink to="/dumps/copy" variant="default" leftSection={<IconCopy size={14} aria-hidden />}>
        Copy a database
      </ButtonLink>
      <ButtonLink to="/dumps/export" leftSection={<IconDatabaseExport size={14} aria-hidden />}>
        Export a database
      </ButtonLink>
    </>
  )
}

function UploadDialog({ onClose }: { readonly onClose: () => void }) {
  const navigate = useNavigate()
  const [isSending, setSending] = useState(false)
  return (
    <Dialog
      onClose={onClose}
      title="Upload a file"
      size="lg"
      closeOnClickOutside={false}
      // What is on its way is ended by its own button alone.
      closeOnEscape={!isSending}
      withCloseButton={!isSending}
    >
      <UploadFile onUploaded={({ id }) => void navigate({ to: '/dumps/$id', params: { id } })} onSending={setSending} />
    </Dialog>
  )
}

function DumpFilterBar() {
  const { search = '', origin, datasource } = useSearch({ from: '/shell/dumps' })
  const set = useSetFilters()
  const datasources = useQuery(datasourcesQuery)
  const choice = { w: 180, size: 'xs', clearable: true } as const
  return (
    <FilterBar label="Filters of dumps">
      <SearchField label="Search file, database, day" value={search} onChange={(text) => set({ search: text })} />
      <Select
        {...choice}
        aria-label="Made by"
        placeholder="Made in any way"
        value={origin ?? null}
        data={ORIGIN_WORDS.map(([value, label]) => ({ value, label }))}
        onChange={(value) => set({ origin: value })}
      />
      <Select
        {...choice}
        searchable
        aria-label="Datasource"
        placeholder="Any datasource"
        value={datasource ?? null}
        data={(datasources.data ?? []).filter(hasDumps).map(({ id, name }) => ({ value: id, label: name }))}
        onChange={(value) => set({ datasource: value })}
      />
    </FilterBar>
  )
}

function NoDumps({ isFiltered, ways }: { readonly isFiltered: boolean; readonly ways: ReactNode }) {
  const set = useSetFilters()
  if (isFiltered) {
    return (
      <Empty
        title="No dump is like that"
        action={
          <Button variant="default" onClick={() => set({ search: null, origin: null, datasource: null })}>
            Clear the filters
          </Button>
        }
      >
        Other dumps may be there: the filters hide them.
      </Empty>
    )
  }
  return (
    <Empty title="No database is dumped yet" action={ways !== null && <Group gap="xs">{ways}</Group>}>
      <Stack gap="xs">
        <Text size="sm">
          A dump is a database as one file of plain SQL, of one moment: definitions, rows, or both. Export one to keep
          it, to take it along, or to import it into another database.
        </Text>
        <Text size="sm">
          An import checks the whole file first, shows what it would make and replace, and does it in one transaction.
          What it replaces is kept as a dump here, which brings it back.
        </Text>
      </Stack>
    </Empty>
  )
}

const COLUMNS: readonly DataColumn<Dump>[] = [
  {
    id: 'database',
    header: 'Database',
    value: nameOfDump,
    cell: (dump) => (
      <TextLink to="/dumps/$id" params={{ id: dump.id }} title={dump.file} className="cut" style={{ maxWidth: 200 }}>
        {nameOfDump(dump)}
      </TextLink>
    ),
  },
  {
    id: 'origin',
    header: 'Made by',
    value: ({ origin }) => originWord(origin),
    cell: (dump) => <Origin dump={dump} />,
  },
  {
    id: 'when',
    header: 'When',
    value: ({ created_at: at }) => at,
    cell: ({ created_at: at }) => <Time at={at} />,
  },
  { id: 'content', header: 'Content', value: shortContent, cell: (dump) => <Said>{shortContent(dump)}</Said> },
  { id: 'style', header: 'Style', value: styleWord, cell: (dump) => <Said>{styleWord(dump)}</Said>, hidden: true },
  {
    id: 'rows',
    header: 'Rows',
    align: 'right',
    value: ({ rows }) => rows,
    cell: ({ rows }) => (rows === null ? <span className="quiet">–</span> : formatCount(rows)),
  },
  {
    id: 'size',
    header: 'Size',
    align: 'right',
    value: ({ bytes }) => bytes,
    cell: ({ bytes }) => <span style={{ whiteSpace: 'nowrap' }}>{formatBytes(bytes)}</span>,
  },
  {
    id: 'packed',
    header: 'Packed',
    value: packedWord,
    cell: (dump) =>
      dump.sealed ? (
        <Mark tone="resting" icon={IconLock} about="It opens with its passphrase alone.">
          Sealed
        </Mark>
      ) : (
        packedWord(dump)
      ),
  },
  {
    id: 'tried',
    header: 'Tried',
    value: ({ drill }) => drill?.at ?? null,
    cell: ({ drill }) => (
      <span style={{ whiteSpace: 'nowrap' }}>
        <Tried drill={drill} />
        {drill !== null && (
          <>
            {' '}
            <TextLink to="/jobs/$id" params={{ id: drill.job_id }}>
              <Time at={drill.at} />
            </TextLink>
          </>
        )}
      </span>
    ),
  },
  {
    id: 'sha256',
    header: 'SHA-256',
    value: ({ sha256 }) => sha256,
    cell: ({ sha256 }) => (
      <span className="mono" title={sha256}>
        {sha256.slice(0, 8)}…
      </span>
    ),
    hidden: true,
  },
  { id: 'by', header: 'By', value: ({ created_by: by }) => by, cell: ({ created_by: by }) => by },
  {
    id: 'file',
    header: 'File',
    value: ({ file }) => file,
    cell: ({ file }) => <span className="mono">{file}</span>,
    hidden: true,
  },
]

/** Who may only look is offered nothing else. */
function columnsFor(mayAct: boolean): readonly DataColumn<Dump>[] {
  return mayAct ? [...COLUMNS, { id: 'actions', header: 'More', cell: (dump) => <DumpMenu dump={dump} /> }] : COLUMNS
}
