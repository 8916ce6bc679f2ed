import { Group, Paper, Progress, Stack, Table, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { Schemas } from '#api/client.ts'
import { kindWords, progressWords } from '#features/jobs/job-words.ts'
import { isActive, useLiveJob, type Job } from '#features/jobs/queries.ts'
import { ddlCountOf, dryRunOf, stopOf } from '#features/sync-configs/receipt.ts'
import { receiptQuery } from '#features/sync-configs/queries.ts'
import { formatCount, plural } from '#lib/format.ts'
import { TextLink } from '#ui/link.tsx'
import { JobStatus, Mark } from '#ui/mark.tsx'
import { Duration, Time } from '#ui/time.tsx'

/** The last job of a config, as it is at this moment, and what came of it. */
export function LiveRun({ id }: { readonly id: string }) {
  const { data: job } = useLiveJob(id)
  if (job === undefined) return null
  return (
    <Paper withBorder p="md" component="section" aria-label="Last job">
      <Stack gap="sm">
        <Group justify="space-between" wrap="nowrap">
          <Group gap="sm" aria-live="polite">
            <JobStatus status={job.status} />
            <Text size="sm">
              {kindWords(job)}
              {job.tables !== null && `, of ${plural(job.tables.length, 'table')}`}
            </Text>
            <Text size="sm" className="quiet">
              started <Time at={job.started_at ?? job.created_at} />,{' '}
              <Duration from={job.started_at} to={job.finished_at} />
            </Text>
          </Group>
          <TextLink
            to="/jobs/$id"
            params={{ id: job.id }}
            search={job.dry_run ? { tab: 'changes' } : {}}
            size="sm"
            style={{ whiteSpace: 'nowrap' }}
          >
            {job.dry_run ? 'See every change' : 'Open the job'}
          </TextLink>
        </Group>
        {isActive(job) && job.progress !== null && <Live progress={job.progress} />}
        {job.error !== null && (
          <Text size="sm">
            {job.error.message} {job.error.hint}
          </Text>
        )}
        {job.status === 'succeeded' && (job.dry_run ? <Found id={job.id} /> : <Counts counts={job.counts} />)}
      </Stack>
    </Paper>
  )
}

function Live({ progress }: { readonly progress: NonNullable<Job['progress']> }) {
  const { percent } = progress
  return (
    <Stack gap={4}>
      <Progress value={percent ?? 100} animated={percent === null} aria-label="Progress of the job" size="sm" />
      <Text size="xs" className="quiet numbers">
        {progressWords(progress)}
      </Text>
    </Stack>
  )
}

function Counts({ counts }: { readonly counts: Schemas['Counts'] | null }) {
  if (counts === null) return null
  const { inserted, updated, deleted, unchanged, skipped, conflicted, rejected } = counts
  const told = [
    [inserted, 'inserted'],
    [updated, 'updated'],
    [deleted, 'deleted'],
    [unchanged, 'unchanged'],
    [skipped, 'skipped'],
    [conflicted, 'in conflict'],
    [rejected, 'set aside'],
  ] as const
  return (
    <Text size="sm" className="numbers">
      {plural(counts.read, 'row')} looked at:{' '}
      {told
        .filter(([count]) => count > 0)
        .map(([count, word]) => `${formatCount(count)} ${word}`)
        .join(', ')}
      .
    </Text>
  )
}

/** What a dry run would do to each table. */
function Found({ id }: { readonly id: string }) {
  const { data } = useQuery(receiptQuery(id))
  const tables = dryRunOf(data?.receipt)
  if (tables === null) return null
  const stop = stopOf(data?.receipt)
  const statements = ddlCountOf(data?.receipt)
  if (statements === 0 && tables.every(({ inserts, updates, deletes }) => inserts + updates + deletes === 0)) {
    return <Text size="sm">Nothing to do: every row that was looked at is as it should be.</Text>
  }
  return (
    <>
      <Text size="sm">Nothing was written. A run would make these changes:</Text>
      {statements > 0 && (
        <TextLink to="/jobs/$id" params={{ id }} search={{ tab: 'changes' }} size="sm">
          {`${plural(statements, 'statement')} ${statements === 1 ? 'makes or alters' : 'make or alter'} tables of the target: see the SQL`}
        </TextLink>
      )}
      {stop !== null && <Mark tone="person">{`A run would stop before it writes: ${stop}`}</Mark>}
      <Table aria-label="What a run would do" maw={560} fz="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Table</Table.Th>
            <Table.Th ta="right">Inserts</Table.Th>
            <Table.Th ta="right">Updates</Table.Th>
            <Table.Th ta="right">Deletes</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {tables.map(({ name, inserts, updates, deletes }) => (
            <Table.Tr key={name}>
              <Table.Td className="mono">{name}</Table.Td>
              {[inserts, updates, deletes].map((count, i) => (
                <Table.Td key={i} ta="right">
                  {formatCount(count)}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </>
  )
}
