import { Button, Group, Select, Stack, Table, Text } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { rulesQuery, type ConflictRule } from '#features/conflicts/queries.ts'
import { decidedText, fieldsText, KINDS, tableName } from '#features/conflicts/words.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { Dialog } from '#ui/dialog.tsx'
import { Answer, Empty } from '#ui/page.tsx'
import { Time } from '#ui/time.tsx'

interface RulesProps {
  readonly config: string | undefined
  readonly onClose: () => void
}

/** What was decided once for all conflicts of a sort, sync config by sync config. */
export function RulesDialog({ config, onClose }: RulesProps) {
  const query = useQuery(configsQuery)
  const [chosen, setChosen] = useState(config)
  return (
    <Dialog onClose={onClose} size="xl" title="Rules for conflicts">
      <Answer query={query}>
        {(configs) => {
          const id = chosen ?? configs[0]?.id
          return (
            <Stack gap="sm">
              <Select
                label="Sync config"
                maw={320}
                data={configs.map((one) => ({ value: one.id, label: one.name }))}
                value={id ?? null}
                onChange={(next) => setChosen(next ?? undefined)}
              />
              {id !== undefined && <Rules key={id} config={id} />}
            </Stack>
          )
        }}
      </Answer>
    </Dialog>
  )
}

function Rules({ config }: { readonly config: string }) {
  const query = useQuery(rulesQuery(config))
  const may = useMay('operator')
  return (
    <Answer query={query}>
      {(rules) =>
        rules.length === 0 ? (
          <Empty title="There are no rules">
            A rule decides all later conflicts of a sort by itself: of a table, a kind and the columns that both sides
            changed. Decide all of a cause, and tick “Always do so”.
          </Empty>
        ) : (
          <Table verticalSpacing={6} aria-label="Rules">
            <Table.Thead>
              <Table.Tr>
                {['Table', 'Kind', 'Columns', 'Decides', 'Made', ''].map((head) => (
                  <Table.Th key={head}>{head}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rules.map((rule) => (
                <Rule key={rule.id} rule={rule} config={config} may={may} />
              ))}
            </Table.Tbody>
          </Table>
        )
      }
    </Answer>
  )
}

function Rule({ rule, config, may }: { readonly rule: ConflictRule; readonly config: string; readonly may: boolean }) {
  const client = useQueryClient()
  const remove = useMutation({
    mutationFn: () =>
      api.DELETE('/api/v1/sync-configs/{id}/conflict-rules/{ruleId}', {
        params: { path: { id: config, ruleId: rule.id } },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: rulesQuery(config).queryKey }),
  })
  const path = `/api/v1/sync-configs/${config}/conflict-rules/${rule.id}`
  return (
    <Table.Tr>
      <Table.Td className="mono">{tableName(rule.target)}</Table.Td>
      <Table.Td>{KINDS[rule.kind]}</Table.Td>
      <Table.Td className={rule.fields === null ? 'quiet' : 'mono'}>
        {rule.fields === null ? 'whichever' : fieldsText(rule.fields)}
      </Table.Td>
      <Table.Td>{decidedText(rule.take, false)}</Table.Td>
      <Table.Td>
        <Text size="sm">
          <Time at={rule.created_at} /> by {rule.created_by.name}
        </Text>
      </Table.Td>
      <Table.Td>
        {may && (
          <Group gap={0} wrap="nowrap" justify="flex-end">
            <CopyAs cli={`syncline conflicts rules remove ${config} ${rule.id}`} curl={curlOf('DELETE', path)} />
            <Button variant="subtle" color="red" loading={remove.isPending} onClick={() => remove.mutate()}>
              Remove
            </Button>
          </Group>
        )}
      </Table.Td>
    </Table.Tr>
  )
}
