import { Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { useDatasource } from '#features/datasources/queries.ts'
import { ChooseDatasource } from '#features/dumps/choose-datasource.tsx'
import { JobForm, useAsking } from '#features/dumps/job-form.tsx'
import { exportRequest, FIRST_EXPORT } from '#features/dumps/export-draft.ts'
import { HowFields, WhatFields } from '#features/dumps/export-fields.tsx'
import { exportMeans } from '#features/dumps/means.ts'
import { startExport } from '#features/dumps/queries.ts'
import { isChosen, NO_NAMES } from '#features/dumps/reading-draft.ts'
import { TextLink } from '#ui/link.tsx'
import classes from './dumps.module.css'

interface ExportFormProps {
  /** The datasource that is chosen at first, by id. */
  readonly first: string | null
  readonly onStarted: (job: string) => void
}

export function ExportForm({ first, onStarted }: ExportFormProps) {
  const [id, setId] = useState(first)
  const { draft, set, problem, ...asking } = useAsking(FIRST_EXPORT, startExport, onStarted)
  const datasource = useDatasource(id)
  return (
    <JobForm
      title="Export a database"
      state="Into one file of plain SQL, of one moment. The database is only read."
      verb="Export"
      asking={asking}
      request={
        datasource !== undefined && isChosen(draft) ? { datasource: datasource.name, ...exportRequest(draft) } : null
      }
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
          <WhatFields datasource={id} draft={draft} set={set} problem={problem} />
          <Text size="sm">
            <TextLink to="/dumps/schedule" search={id === null ? {} : { datasource: id }} underline="always">
              Schedule it
            </TextLink>
            , to be exported again and again.
          </Text>
        </Stack>
        <HowFields draft={draft} set={set} problem={problem} source={datasource} />
      </div>
    </JobForm>
  )
}
