import { Button, Code, Group, SimpleGrid, Stack, Table as Grid, Text, Title } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'
import { withField, type Table } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { ChoiceField, NumberField, TextField } from '#features/sync-configs/fields.tsx'
import { needsCursor } from '#features/sync-configs/table-settings.tsx'
import { changeTable, tableOf } from '#features/sync-configs/tables.ts'
import { DETECTION, wordOf } from '#features/sync-configs/words.ts'
import { CopyAs, CopyButton, curlOf, quote } from '#ui/copy.tsx'
import { Mark, type Tone } from '#ui/mark.tsx'
import { Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

/** How changes are found, and which way fits each table. */
export function DetectionTab() {
  const { document, mayEdit } = useDraft()
  const strategies = [document.detection_strategy, ...(document.tables ?? []).map((table) => table.detection_strategy)]
  const cursor = strategies.some(needsCursor)
  return (
    <Stack gap="lg">
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md" maw={920}>
        <ChoiceField name="detection_strategy" label="Changes are found by" choices={DETECTION} />
        {(cursor || document.cursor_column !== undefined) && (
          <TextField
            name="cursor_column"
            label="Cursor column"
            about="The column of the source, set by every insert and update, that timestamp and row version go by."
            placeholder="updated_at"
          />
        )}
        {cursor && (
          <NumberField
            name="delete_check_hours"
            label="Hours between looks for deletes"
            about="A cursor does not see deletes: keys are compared this often, where rows are to be deleted. 0 is each run."
            byDefault={24}
            max={8_760}
          />
        )}
        {cursor && (
          <NumberField
            name="cursor_window_seconds"
            label="Seconds read again"
            about="So long may a transaction of the source last where its login does not see those of others."
            byDefault={300}
            min={1}
            max={604_800}
          />
        )}
      </SimpleGrid>
      {mayEdit && <Advice />}
    </Stack>
  )
}

type Advised = Schemas['AdvisedTable']
type Proposal = Schemas['DetectionProposal']

function Advice() {
  const { base, changes } = useDraft()
  const path = `/api/v1/sync-configs/${base.id}/advise`
  const ask = useMutation({
    meta: { shown: true },
    mutationFn: () =>
      body(api.POST('/api/v1/sync-configs/{id}/advise', { params: { path: { id: base.id } }, body: {} })),
  })
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={2}>Advice for each table</Title>
        <Group gap="xs">
          <CopyAs curl={curlOf('POST', path, {})} cli={`syncline configs advise ${quote(base.name)}`} />
          <Button variant="default" onClick={() => ask.mutate()} loading={ask.isPending}>
            {ask.data === undefined ? 'Ask for advice' : 'Ask again'}
          </Button>
        </Group>
      </Group>
      <Text size="sm" className="quiet">
        Looks at indexes, triggers, rights, statistics and some rows of the source, read-only, and says by which
        strategy the changes of each table can be found, and what that does not see.
        {changes > 0 && ' It looks at the tables as they were saved last.'}
      </Text>
      {ask.isPending && <Lines count={4} />}
      {ask.error !== null && <Problem error={ask.error} />}
      {ask.data !== undefined && (
        <Stack gap="md" aria-live="polite">
          {ask.data.tables.map((table) => (
            <OfTable key={table.source} advised={table} />
          ))}
          {ask.data.left_out.length > 0 && (
            <Text size="sm" className="quiet">
              Not looked into, as there are many: {ask.data.left_out.join(', ')}.
            </Text>
          )}
        </Stack>
      )}
    </Stack>
  )
}

const LABELS: Readonly<Record<Proposal['label'], Tone>> = { exact: 'done', bounded: 'person', 'best effort': 'person' }

function OfTable({ advised }: { readonly advised: Advised }) {
  return (
    <Stack gap="xs">
      <Text className="mono" fw={600}>
        {advised.source}
      </Text>
      {advised.proposals.length > 0 && (
        <Grid aria-label={`Strategies for ${advised.source}`} fz="sm" verticalSpacing={6}>
          <Grid.Thead>
            <Grid.Tr>
              <Grid.Th w={150}>Strategy</Grid.Th>
              <Grid.Th w={130}>How sure</Grid.Th>
              <Grid.Th>What speaks for it, and what it does not see</Grid.Th>
              <Grid.Th w={120} />
            </Grid.Tr>
          </Grid.Thead>
          <Grid.Tbody>
            {advised.proposals.map((proposal) => (
              <Line
                key={`${proposal.strategy} ${proposal.cursor_column}`}
                source={advised.source}
                proposal={proposal}
              />
            ))}
          </Grid.Tbody>
        </Grid>
      )}
      {[...advised.notes, ...advised.unknown].map((note) => (
        <Text key={note} size="sm" className="quiet">
          {note}
        </Text>
      ))}
      {advised.ruled_out.map(({ strategy, column, why }) => (
        <Text key={`${strategy} ${column}`} size="sm" className="quiet">
          {ruledOutInWords(strategy, column)}: {why}
        </Text>
      ))}
    </Stack>
  )
}

function ruledOutInWords(strategy: string | null, column: string | null): string {
  const words = [
    strategy === null ? '' : wordOf(DETECTION, strategy).toLowerCase(),
    column === null ? '' : `by ${column}`,
  ]
  return ['Not', ...words.filter((word) => word !== '')].join(' ')
}

function Line({ source, proposal }: { readonly source: string; readonly proposal: Proposal }) {
  const { document, change } = useDraft()
  const table = tableOf(document, source)
  const { strategy, cursor_column: cursor } = proposal
  const isNow =
    (table.detection_strategy ?? document.detection_strategy ?? 'hash') === strategy &&
    (cursor === null || (table.cursor_column ?? document.cursor_column) === cursor)
  return (
    <Grid.Tr>
      <Grid.Td>
        {wordOf(DETECTION, strategy)}
        {cursor !== null && <span className="mono"> {cursor}</span>}
      </Grid.Td>
      <Grid.Td>
        <Mark tone={LABELS[proposal.label]}>{proposal.label}</Mark>
      </Grid.Td>
      <Grid.Td>
        <Stack gap={2}>
          <span>{[proposal.cost, ...proposal.reasons].join('; ')}</span>
          {proposal.cannot_see.length > 0 && (
            <span className="quiet">Does not see: {proposal.cannot_see.join('; ')}</span>
          )}
          {proposal.needs.map(({ text, sql, required }) => (
            <Group key={text} gap="xs">
              <span>{required ? `Needs: ${text}` : `Better with: ${text}`}</span>
              {sql !== null && <Code>{sql}</Code>}
              {sql !== null && <CopyButton text={sql}>Copy the statement</CopyButton>}
            </Group>
          ))}
        </Stack>
      </Grid.Td>
      <Grid.Td>
        {isNow ? (
          <Mark tone="done">as it is</Mark>
        ) : (
          <Button
            variant="default"
            size="compact-xs"
            onClick={() => change((now) => changeTable(now, source, (one) => accept(one, proposal)))}
            aria-label={`Use ${wordOf(DETECTION, strategy)} for ${source}`}
          >
            Use
          </Button>
        )}
      </Grid.Td>
    </Grid.Tr>
  )
}

function accept(table: Table, { strategy, cursor_column: cursor }: Proposal): Table {
  return withField({ ...table, detection_strategy: strategy }, 'cursor_column', cursor ?? undefined)
}
