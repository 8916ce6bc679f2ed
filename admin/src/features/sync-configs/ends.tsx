import { Group, Text } from '@mantine/core'
import { IconArrowRight, IconArrowsLeftRight } from '@tabler/icons-react'
import { useDatasource } from '#features/datasources/queries.ts'
import type { Document } from '#features/sync-configs/document.ts'
import { Environment } from '#ui/mark.tsx'

type EndsProps = Pick<Document, 'source_datasource_id' | 'target_datasource_id' | 'direction'>

/** Where rows come from, left, and where they go, right. */
export function Ends({ source_datasource_id: from, target_datasource_id: to, direction }: EndsProps) {
  const Arrow = direction === 'two_way' ? IconArrowsLeftRight : IconArrowRight
  return (
    <Group gap={8} wrap="nowrap" component="span">
      <End id={from} />
      <Arrow size={14} stroke={1.75} aria-hidden />
      <span className="sr-only">{direction === 'two_way' ? 'to and from' : 'to'}</span>
      <End id={to} />
    </Group>
  )
}

function End({ id }: { readonly id: string }) {
  const datasource = useDatasource(id)
  return (
    <Group gap={6} wrap="nowrap" component="span">
      <Text component="span" size="sm" truncate maw={220} title={datasource?.name ?? id}>
        {datasource?.name ?? id}
      </Text>
      {datasource !== undefined && <Environment name={datasource.effective_environment} />}
    </Group>
  )
}
