import { Button, Code, Stack, Text, Title } from '@mantine/core'
import { IconDatabaseImport, IconDownload, IconTestPipe, IconTrash } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { useState } from 'react'
import { ApiProblem } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { useDatasource } from '#features/datasources/queries.ts'
import { DeleteDump } from '#features/dumps/dump-actions.tsx'
import { Origin, Said, Tried } from '#features/dumps/dump-marks.tsx'
import { deleteMeans, downloadMeans, fileOf, restoreWithout } from '#features/dumps/means.ts'
import { dumpQuery, type Dump } from '#features/dumps/queries.ts'
import { contentWord, nameOfDump, packedWord, styleWord } from '#features/dumps/words.ts'
import { Notes } from '#features/jobs/receipt-view.tsx'
import { formatBytes, formatCount } from '#lib/format.ts'
import { CopyAs, CopyButton } from '#ui/copy.tsx'
import { Fact, Facts } from '#ui/facts.tsx'
import { ButtonLink, TextLink } from '#ui/link.tsx'
import { Notice } from '#ui/notice.tsx'
import { Lines, Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { Time } from '#ui/time.tsx'
import classes from './dumps.module.css'

/** One dump: what is in it, where it comes from, and what can be done with it. */
export function DumpPage() {
  const { id } = useParams({ from: '/shell/dumps/$id' })
  const { data, error, refetch } = useQuery(dumpQuery(id))
  const isGone = error instanceof ApiProblem && error.status === 404
  if (data !== undefined && !isGone) return <Known key={id} dump={data} />
  return (
    <Page title="Dump" state={<Code>{id}</Code>}>
      {error === null ? <Lines count={8} /> : <Problem error={error} retry={() => void refetch()} />}
    </Page>
  )
}

function Known({ dump }: { readonly dump: Dump }) {
  const mayAct = useMay('operator')
  const command = restoreWithout(dump)
  return (
    <Page
      title={nameOfDump(dump)}
      state={
        <div className={classes['facts']}>
          <Origin dump={dump} />
          <span>
            made <Time at={dump.created_at} /> by {dump.created_by}
          </span>
          <span>{formatBytes(dump.bytes)}</span>
        </div>
      }
      action={mayAct && <Actions dump={dump} />}
    >
      {dump.origin === 'backup' && (
        <Notice tone="resting" title="What an import or a copy replaced">
          <Text size="sm">
            Its schemas as they were before the import or the copy, read back and checked. Importing it with what is
            there replaced brings them back, and takes back what that had made besides.
          </Text>
        </Notice>
      )}
      <div className={classes['split']}>
        <About dump={dump} />
        <Stack gap="lg">
          {dump.notes.length > 0 && (
            <Stack gap="xs" component="section" aria-labelledby="notes">
              <Title order={2} id="notes">
                What to know of it
              </Title>
              <Notes notes={dump.notes} />
            </Stack>
          )}
          <Stack gap="xs" component="section" aria-labelledby="without">
            <Title order={2} id="without">
              Without Syncline
            </Title>
            {command === null ? (
              <Text size="sm">
                It is sealed: whoever has the passphrase opens it, by the layout that the documentation has.
              </Text>
            ) : (
              <>
                <Text size="sm">The file is plain SQL, whole or not at all:</Text>
                <Code block style={{ whiteSpace: 'pre-wrap' }}>
                  {command}
                </Code>
                <div>
                  <CopyButton text={command}>Copy the command</CopyButton>
                </div>
              </>
            )}
          </Stack>
        </Stack>
      </div>
    </Page>
  )
}

function Actions({ dump }: { readonly dump: Dump }) {
  const navigate = useNavigate()
  const [deleting, setDeleting] = useState(false)
  return (
    <>
      <CopyAs
        of={[
          ['Download', downloadMeans(dump)],
          ['Delete', deleteMeans(dump)],
        ]}
      />
      <Button variant="default" leftSection={<IconTrash size={14} aria-hidden />} onClick={() => setDeleting(true)}>
        Delete
      </Button>
      <Button
        component="a"
        href={fileOf(dump.id)}
        download
        variant="default"
        leftSection={<IconDownload size={14} aria-hidden />}
      >
        Download
      </Button>
      <ButtonLink
        to="/dumps/drill"
        search={{ dump: dump.id }}
        variant="default"
        leftSection={<IconTestPipe size={14} aria-hidden />}
      >
        Try a restore
      </ButtonLink>
      <ButtonLink
        to="/dumps/import"
        search={{
          dump: dump.id,
          ...(dump.origin === 'backup' && dump.datasource_id !== null ? { datasource: dump.datasource_id } : {}),
        }}
        leftSection={<IconDatabaseImport size={14} aria-hidden />}
      >
        Import
      </ButtonLink>
      {deleting && (
        <DeleteDump
          dump={dump}
          onDeleted={() => navigate({ to: '/dumps', search: {} })}
          onClose={() => setDeleting(false)}
        />
      )}
    </>
  )
}

function About({ dump }: { readonly dump: Dump }) {
  const { head, rows, sql_bytes: sqlBytes, job_id: job } = dump
  const datasource = useDatasource(dump.datasource_id)
  return (
    <Stack gap="xs" component="section" aria-labelledby="about">
      <Title order={2} id="about">
        What it is
      </Title>
      <Facts>
        <Fact name="File">
          <span className={`mono ${classes['digest']}`}>{dump.file}</span>
        </Fact>
        <Fact name="Content">
          <Said>{contentWord(dump)}</Said>
        </Fact>
        <Fact name="Rows are">
          <Said>{styleWord(dump)}</Said>
        </Fact>
        {rows !== null && (
          <Fact name="Rows">
            {formatCount(rows)}
            {head !== null && ` in ${formatCount(head.tables)} ${head.tables === 1 ? 'table' : 'tables'}`}
          </Fact>
        )}
        <Fact name="Packed">{packedWord(dump)}</Fact>
        <Fact name="Size">
          {formatBytes(dump.bytes)}
          {sqlBytes !== null && ` of ${formatBytes(sqlBytes)} unpacked`}
        </Fact>
        {head !== null && (
          <>
            <Fact name="Server">{head.server}</Fact>
            <Fact name="Of the moment">
              <Time at={head.made_at} />
            </Fact>
            <Fact name="Written by">Syncline {head.program}</Fact>
          </>
        )}
        {datasource !== undefined && (
          <Fact name="Datasource">
            <TextLink to="/datasources/$id" params={{ id: datasource.id }}>
              {datasource.name}
            </TextLink>
          </Fact>
        )}
        {job !== null && (
          <Fact name="Job">
            <TextLink to="/jobs/$id" params={{ id: job }}>
              {job}
            </TextLink>
          </Fact>
        )}
        <Fact name="Last trial">
          <Trial drill={dump.drill} />
        </Fact>
        <Fact name="SHA-256">
          <span className={`mono ${classes['digest']}`}>{dump.sha256}</span>
          <CopyButton text={dump.sha256}>Copy the digest</CopyButton>
        </Fact>
      </Facts>
    </Stack>
  )
}

/** Whether it was restored into a database of its own, and what came of that. */
function Trial({ drill }: { readonly drill: Dump['drill'] }) {
  if (drill === null) return <Tried drill={drill} />
  return (
    <>
      <Tried drill={drill} />{' '}
      <TextLink to="/jobs/$id" params={{ id: drill.job_id }} underline="always">
        tried
      </TextLink>{' '}
      <Time at={drill.at} /> on {drill.server}
      {drill.faults.map((fault) => (
        <Text size="sm" key={fault}>
          {fault}
        </Text>
      ))}
    </>
  )
}
