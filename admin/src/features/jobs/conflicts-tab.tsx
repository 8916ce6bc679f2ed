import { Button, Group, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { KINDS } from '#features/conflicts/words.ts'
import { tableWords } from '#features/jobs/job-words.ts'
import { jobConflictsQuery, type Job } from '#features/jobs/queries.ts'
import { formatCount, plural } from '#lib/format.ts'
import { CopyAs, cliOf, curlOf } from '#ui/copy.tsx'
import tables from '#ui/data-table.module.css'
import { Mark } from '#ui/mark.tsx'
import { Answer, Empty } from '#ui/page.tsx'

/** What both sides had changed, by what caused it. */
export function ConflictsTab({ job }: { readonly job: Job }) {
  const groups = useQuery(jobConflictsQuery(job.id))
  return (
    <Answer query={groups}>
      {(found) => {
        if (found.length === 0) return <Empty title="No conflicts">No row had been changed on both sides.</Empty>
        const open = found.reduce((sum, group) => sum + group.open, 0)
        const all = found.reduce((sum, group) => sum + group.conflicts, 0)
        return (
          <Stack gap="xs">
            <Text size="sm">
              {plural(all, 'row')} had been changed on both sides; open: {formatCount(open)}.
            </Text>
            <table className={tables['table']} aria-label="Conflicts by cause">
              <thead>
                <tr>
                  <th>Table</th>
                  <th>Kind</th>
                  <th>Columns</th>
                  <th data-align="right">Conflicts</th>
                  <th>State</th>
                </tr>
              </thead>
              <tbody>
                {found.map(({ target, kind, fields, conflicts, open: waiting }) => (
                  <tr key={`${tableWords(target)} ${kind} ${fields.join()}`}>
                    <td className="mono">{tableWords(target)}</td>
                    <td>{KINDS[kind]}</td>
                    <td className="mono">{fields.join(', ')}</td>
                    <td data-align="right">{formatCount(conflicts)}</td>
                    <td>
                      {waiting > 0 ? (
                        <Mark tone="person">{`${formatCount(waiting)} open`}</Mark>
                      ) : (
                        <Mark tone="done">Decided</Mark>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
            <Group gap="xs">
              <Button
                variant="default"
                renderRoot={(props) => <Link {...props} to="/conflicts" search={{ job: job.id }} />}
              >
                {open > 0 ? `Decide on ${plural(open, 'conflict')}` : 'Show the conflicts'}
              </Button>
              <CopyAs
                cli={cliOf('conflicts', 'list', '--job', job.id)}
                curl={curlOf('GET', `/api/v1/sync/conflicts/${job.id}`)}
              />
            </Group>
          </Stack>
        )
      }}
    </Answer>
  )
}
