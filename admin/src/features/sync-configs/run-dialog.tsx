import { Button, Group, MultiSelect, Radio, Stack, Text, TextInput } from '@mantine/core'
import { IconShieldExclamation } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { api, body } from '#api/client.ts'
import { useFreshKey } from '#app/fresh-key.tsx'
import { LetWrite, readOnlyOf } from '#features/datasources/let-write.tsx'
import { useDatasource, type Datasource } from '#features/datasources/queries.ts'
import { Ends } from '#features/sync-configs/ends.tsx'
import { commandOf, requestOf, type RunKind, type Wish } from '#features/sync-configs/run.ts'
import { tablesQuery, type SyncConfig } from '#features/sync-configs/queries.ts'
import { pickedBy } from '#features/sync-configs/tables.ts'
import { refOf } from '#features/sync-configs/table-names.ts'
import { formatTableName } from '#lib/table-name.ts'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { Dialog } from '#ui/dialog.tsx'
import { Environment, Mark } from '#ui/mark.tsx'
import { Problem } from '#ui/problem.tsx'
import classes from './sync-configs.module.css'

const KINDS: readonly { readonly value: RunKind; readonly word: string; readonly about: string }[] = [
  { value: 'dry', word: 'Dry run', about: 'Finds every change, row by row, and writes nothing.' },
  { value: 'sync', word: 'Run sync', about: 'Brings the target in step with the source, and proves it.' },
  { value: 'verify', word: 'Verify', about: 'Compares both sides and writes nothing.' },
]

const START: Readonly<Record<RunKind, string>> = { dry: 'Start dry run', sync: 'Run sync', verify: 'Start verifying' }

interface RunDialogProps {
  readonly config: SyncConfig
  readonly kind: RunKind
  readonly onClose: () => void
}

export function RunDialog({ config, kind: first, onClose }: RunDialogProps) {
  const client = useQueryClient()
  const withFreshKey = useFreshKey()
  const source = useDatasource(config.source_datasource_id)
  const target = useDatasource(config.target_datasource_id)
  const [kind, setKind] = useState<RunKind>(first)
  const [mode, setMode] = useState<'incremental' | 'full'>('incremental')
  const [tables, setTables] = useState<readonly string[]>([])
  const [typed, setTyped] = useState('')
  // One for each time that the dialog is opened: a start that is sent twice starts one job.
  const [once] = useState(() => crypto.randomUUID())
  const sourceToo = config.direction === 'two_way' && source?.protected === true
  const guarded = kind === 'sync' && (target?.protected === true || sourceToo)
  const written = config.direction === 'two_way' ? [target, source] : [target]
  const readOnly = kind === 'sync' ? readOnlyOf(written) : []
  const wish: Wish = {
    kind,
    mode,
    tables,
    protects: { target: guarded && target?.protected === true, source: guarded && sourceToo },
    typed,
  }
  const request = requestOf(wish)
  const path = `/api/v1/sync/${config.id}`
  const start = useMutation({
    meta: { shown: true },
    mutationFn: () =>
      withFreshKey(() =>
        body(
          api.POST('/api/v1/sync/{configId}', {
            params: { path: { configId: config.id }, header: { 'idempotency-key': once } },
            body: request,
          }),
        ),
      ),
    onSuccess: async () => {
      onClose()
      await client.invalidateQueries({ queryKey: ['jobs'] })
    },
  })
  const { word } = KINDS.find(({ value }) => value === kind) ?? { word: '' }
  return (
    <Dialog onClose={onClose} title={`${word}: ${config.name}`} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          start.mutate()
        }}
      >
        <Stack gap="md">
          <Ends {...config} />
          <Radio.Group label="What to do" value={kind} onChange={(value) => setKind(value as RunKind)}>
            <Stack gap={10} mt={6}>
              {KINDS.map(({ value, word: label, about }) => (
                <Radio key={value} value={value} label={label} description={about} size="xs" />
              ))}
            </Stack>
          </Radio.Group>
          {kind !== 'verify' && (
            <Radio.Group
              label="How to look"
              value={mode}
              onChange={(value) => setMode(value as 'incremental' | 'full')}
            >
              <Stack gap={10} mt={6}>
                <Radio value="incremental" label="As the config says" size="xs" />
                <Radio
                  value="full"
                  label="Row by row"
                  description="Every row on both sides, whatever the strategy."
                  size="xs"
                />
              </Stack>
            </Radio.Group>
          )}
          <TableChoice config={config} value={tables} onChange={setTables} />
          {guarded && <Guard target={target} source={sourceToo ? source : undefined} typed={typed} onType={setTyped} />}
          {readOnly.map((one) => (
            <LetWrite key={one.id} to={one} />
          ))}
          {start.error !== null && <Problem error={start.error} />}
          <Group justify="space-between">
            <CopyAs curl={curlOf('POST', path, request)} cli={commandOf(config.name, wish)} />
            <Group gap="xs">
              <Button variant="default" onClick={onClose}>
                Cancel
              </Button>
              <Button
                type="submit"
                loading={start.isPending}
                disabled={readOnly.length > 0 || (guarded && typed !== target?.name)}
              >
                {START[kind]}
              </Button>
            </Group>
          </Group>
        </Stack>
      </form>
    </Dialog>
  )
}

interface GuardProps {
  readonly target: Datasource | undefined
  /** Where changes go back to it, and that is protected too. */
  readonly source: Datasource | undefined
  readonly typed: string
  readonly onType: (text: string) => void
}

/** Wants the name of the target typed before something protected is written. */
function Guard({ target, source, typed, onType }: GuardProps) {
  return (
    <section className={classes['guard']} aria-label={`This writes to ${target?.name ?? ''}`}>
      <Mark tone="failed" icon={IconShieldExclamation}>{`This writes to ${target?.name ?? ''}`}</Mark>
      <Stack gap="xs">
        <Text size="sm">
          {target?.name} is <Environment name={target?.effective_environment ?? ''} />
          {source !== undefined && (
            <>
              , and changes also go back to {source.name}, which is <Environment name={source.effective_environment} />
            </>
          )}
          . Type its name to go on.
        </Text>
        <TextInput
          label={`Name of the target: ${target?.name ?? ''}`}
          autoComplete="off"
          value={typed}
          onChange={(event) => onType(event.currentTarget.value)}
        />
      </Stack>
    </section>
  )
}

interface TableChoiceProps {
  readonly config: SyncConfig
  readonly value: readonly string[]
  readonly onChange: (value: readonly string[]) => void
}

/** Where the catalogue of the source cannot be read, the tables that the config names can still be chosen from. */
function TableChoice({ config, value, onChange }: TableChoiceProps) {
  const { data } = useQuery(tablesQuery(config.source_datasource_id))
  const names = useMemo(() => {
    const named = (config.tables ?? []).flatMap(({ source }) => (refOf(source) === null ? [] : [source]))
    const found = (data ?? [])
      .filter(({ table }) => pickedBy(config, table) !== null)
      .map(({ table }) => formatTableName(table))
    return [...new Set([...named, ...found])].toSorted((a, b) => (a < b ? -1 : 1))
  }, [config, data])
  return (
    <MultiSelect
      label="Only these tables"
      placeholder={value.length === 0 ? 'All tables of the config' : ''}
      data={names}
      searchable
      clearable
      clearButtonProps={{ 'aria-label': 'All tables of the config' }}
      value={[...value]}
      onChange={onChange}
    />
  )
}
