import { Anchor, Box, Button, Group, Stack, Text, Title } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { useState } from 'react'
import type { Schemas } from '#api/client.ts'
import type { Job } from '#features/jobs/queries.ts'
import { formatCount, plural } from '#lib/format.ts'
import { saveText } from '#lib/save-text.ts'
import { CopyButton } from '#ui/copy.tsx'
import { Mark } from '#ui/mark.tsx'
import classes from './planned-ddl.module.css'

type Statement = Schemas['PlannedDdl']

interface PlannedDdlProps {
  readonly job: Job
  readonly statements: readonly Statement[]
}

/** As many as are shown before somebody asks for all. */
const SHOWN = 50

/** The statements by which the target's tables are changed, in the order in which they run, with what they may hold up. */
export function PlannedDdl({ job, statements }: PlannedDdlProps) {
  const [isWhole, showWhole] = useState(false)
  if (statements.length === 0) return null
  const shown = isWhole ? statements : statements.slice(0, SHOWN)
  const script = statements.map(({ sql }) => `${sql};\n`).join('\n')
  const risky = statements.filter(({ risk }) => risk !== null).length
  return (
    <Stack gap="xs" component="section" aria-label="Statements that change tables">
      <Group justify="space-between" gap="xs">
        <Group gap="sm">
          <Title order={2}>Statements that change tables</Title>
          <Text size="sm" className="quiet">
            {plural(statements.length, 'statement')}, in this order
            {risky > 0 && `; ${formatCount(risky)} to be looked at with care`}
          </Text>
        </Group>
        <Group gap={0}>
          <CopyButton text={script}>Copy the SQL</CopyButton>
          <Button
            variant="subtle"
            color="gray"
            leftSection={<IconDownload size={14} aria-hidden />}
            onClick={() => saveText(`${job.id}-tables.sql`, script, 'application/sql;charset=utf-8')}
          >
            Download
          </Button>
        </Group>
      </Group>
      <Box
        component="ol"
        className={classes['statements'] ?? ''}
        tabIndex={0}
        aria-label="The statements in their order"
      >
        {shown.map((statement, i) => (
          // Two statements may be the same text; their order never changes.
          <li key={i}>
            <Head statement={statement} />
            <pre className="mono">{statement.sql};</pre>
          </li>
        ))}
      </Box>
      {shown.length < statements.length && (
        <Anchor component="button" type="button" size="sm" ta="left" onClick={() => showWhole(true)}>
          Show all {formatCount(statements.length)} statements
        </Anchor>
      )}
    </Stack>
  )
}

const STAGES: Readonly<Record<Statement['stage'], string>> = {
  'before data': 'before rows are written',
  'after data': 'once its rows are written',
  'foreign keys': 'once all rows are written',
}

const RISKS: Readonly<Record<NonNullable<Statement['risk']>, string>> = {
  locks: 'Holds up others who use the table, for a moment',
  code: 'Brings code along that the target runs',
}

function Head({ statement: { kind, stage, risk } }: { readonly statement: Statement }) {
  return (
    <Group gap="sm">
      <Text size="xs" className="quiet">
        {kind.toLowerCase()}, {STAGES[stage]}
      </Text>
      {risk !== null && <Mark tone="person">{RISKS[risk]}</Mark>}
    </Group>
  )
}
