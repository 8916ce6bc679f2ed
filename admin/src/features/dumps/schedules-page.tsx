import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import type { Schemas } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { exportSchedulesQuery } from '#features/dumps/queries.ts'
import { NewestExport } from '#features/dumps/newest-export.tsx'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { ButtonLink, TextLink } from '#ui/link.tsx'
import { Mark } from '#ui/mark.tsx'
import { Answer, Empty, Page } from '#ui/page.tsx'
import { Time } from '#ui/time.tsx'

type Summary = Schemas['ExportScheduleSummary']

const COLUMNS: readonly DataColumn<Summary>[] = [
  {
    id: 'datasource',
    header: 'Database',
    value: ({ datasource }) => datasource,
    cell: ({ datasource, datasource_id: id }) => (
      <TextLink to="/dumps/schedule" search={{ datasource: id }}>
        {datasource}
      </TextLink>
    ),
  },
  { id: 'when', header: 'When', value: ({ words }) => words, cell: ({ words }) => words },
  {
    id: 'next',
    header: 'Next',
    value: ({ next_run_at: next }) => next,
    cell: ({ paused_at: paused, next_run_at: next }) =>
      paused === null ? <Time at={next} /> : <Mark tone="resting">paused</Mark>,
  },
  {
    id: 'newest',
    header: 'Newest export',
    value: ({ last_dump: newest }) => newest?.created_at ?? null,
    cell: (schedule) => <NewestExport schedule={schedule} />,
  },
]

/** Databases that are exported by themselves, and whether that comes to anything. */
export function SchedulesPage() {
  const schedules = useQuery(exportSchedulesQuery)
  const navigate = useNavigate()
  const mayAct = useMay('operator')
  const add = mayAct ? <ButtonLink to="/dumps/schedule">Schedule an export</ButtonLink> : undefined
  const isEmpty = schedules.data?.length === 0
  return (
    <Page
      title="Scheduled exports"
      state="At times that you set. What was missed while no service ran is made up for by one export."
      action={isEmpty ? undefined : add}
    >
      <Answer query={schedules}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="No export is scheduled yet" action={add}>
              Say which one, when, and what its file is like. How long dumps are kept is set under Settings, Retention;
              the last ones of a scheduled export stay however old they are.
            </Empty>
          ) : (
            <DataTable
              name="export-schedules"
              label="Scheduled exports"
              columns={COLUMNS}
              rows={rows}
              keyOf={({ datasource_id: id }) => id}
              onOpen={({ datasource_id: datasource }) =>
                void navigate({ to: '/dumps/schedule', search: { datasource } })
              }
            />
          )
        }
      </Answer>
    </Page>
  )
}
