import { Button, Group, Stack, Text } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { useMay } from '#app/session.ts'
import { fileOf } from '#features/dumps/means.ts'
import { RowsByTable } from '#features/dumps/plan-tables.tsx'
import type { ExportReceipt } from '#features/jobs/receipt.ts'
import { Notes } from '#features/jobs/receipt-view.tsx'
import { formatBytes, plural } from '#lib/format.ts'
import { Fact, Facts } from '#ui/facts.tsx'
import { ButtonLink } from '#ui/link.tsx'
import { Mark } from '#ui/mark.tsx'
import classes from './dumps.module.css'

/** What an export wrote. */
export function ExportReceiptView({ exported }: { readonly exported: ExportReceipt }) {
  const { dump, moment, rows, sql_bytes: sqlBytes, tables, notes } = exported
  const mayTake = useMay('operator')
  return (
    <Stack gap="md">
      <Mark tone="done">{`${plural(rows, 'row')} of ${plural(tables.length, 'table')} are in the file, which is whole`}</Mark>
      <Facts>
        <Fact name="File">
          <span className={`mono ${classes['digest']}`}>{dump.file}</span>
        </Fact>
        <Fact name="Size">
          {formatBytes(dump.bytes)} of {formatBytes(sqlBytes)} unpacked
        </Fact>
        <Fact name="Of the moment">
          <span className="mono">{moment}</span>
        </Fact>
        <Fact name="SHA-256">
          <span className={`mono ${classes['digest']}`}>{dump.sha256}</span>
        </Fact>
      </Facts>
      <Group gap="xs">
        {mayTake && (
          <Button component="a" href={fileOf(dump.id)} download leftSection={<IconDownload size={14} aria-hidden />}>
            Download {formatBytes(dump.bytes)}
          </Button>
        )}
        <ButtonLink variant="default" to="/dumps/$id" params={{ id: dump.id }}>
          Open the dump
        </ButtonLink>
      </Group>
      <Notes notes={notes} />
      {tables.length > 0 && (
        <RowsByTable
          label="Rows by table"
          tables={tables.map(({ rows: count, ...table }) => ({ table, rows: count }))}
        />
      )}
      {tables.length === 0 && <Text size="sm">It holds definitions alone.</Text>}
    </Stack>
  )
}
