import { Stack, Text } from '@mantine/core'
import { Listed } from '#features/dumps/plan-tables.tsx'
import type { DrillReceipt } from '#features/jobs/receipt.ts'
import { Notes } from '#features/jobs/receipt-view.tsx'
import { formatCount, plural } from '#lib/format.ts'
import { TextLink } from '#ui/link.tsx'
import { Mark } from '#ui/mark.tsx'
import { Notice } from '#ui/notice.tsx'

/** What came of a trial of a dump, and what was compared. */
export function DrillReceiptView({ drilled }: { readonly drilled: DrillReceipt }) {
  const { dump, works, server, faults, tables, rows, constraints, definitions, notes } = drilled
  return (
    <Stack gap="md">
      {works ? (
        <Mark tone="done">It works: it was restored, and what was restored is what the dump says</Mark>
      ) : (
        <Notice tone="failed" title="It does not work">
          {faults.map((fault) => (
            <Text size="sm" key={fault}>
              {fault}
            </Text>
          ))}
        </Notice>
      )}
      <Text size="sm" className="quiet">
        The dump{' '}
        <TextLink to="/dumps/$id" params={{ id: dump.id }} underline="always">
          {dump.file}
        </TextLink>{' '}
        on {server}
        {tables.length > 0 && (
          <>
            : {plural(rows, 'row')} of {plural(tables.length, 'table')}, {plural(constraints, 'constraint')};{' '}
            {definitions === 'same texts'
              ? 'every definition came back as the same text'
              : 'every object was looked for by its name'}
          </>
        )}
        . The database that was made for it is dropped.
      </Text>
      {tables.length > 0 && (
        <Listed
          label="Rows that were compared"
          columns={[
            { head: 'Table', kind: 'name' },
            { head: 'In the dump', kind: 'number' },
            { head: 'Restored', kind: 'number' },
            { head: 'Values', kind: 'word' },
          ]}
          rows={tables.map(({ table, told, restored, same }) => [
            table,
            formatCount(told),
            formatCount(restored),
            same === null ? 'counted alone' : same ? 'the same' : 'others',
          ])}
        />
      )}
      <Notes notes={notes} />
    </Stack>
  )
}
