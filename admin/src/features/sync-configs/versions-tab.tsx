import { Button, Group, Stack, Text } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import type { Schemas } from '#api/client.ts'
import { Differences } from '#features/sync-configs/differences.tsx'
import { differencesOf, type Document } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { versionsQuery } from '#features/sync-configs/queries.ts'
import { plural } from '#lib/format.ts'
import { CopyAs, curlOf, quote } from '#ui/copy.tsx'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { Dialog } from '#ui/dialog.tsx'
import { Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { Time } from '#ui/time.tsx'

type Version = Schemas['ConfigVersion']

/** What the config has been. A version is taken up as a change like any other: it is looked at, then saved. */
export function VersionsTab() {
  const { base } = useDraft()
  const versions = useInfiniteQuery(versionsQuery(base.id))
  const [opened, setOpened] = useState<Version | null>(null)
  const columns = useMemo(() => columnsOf(setOpened), [])
  if (versions.data === undefined) {
    return versions.error === null ? <Lines count={5} /> : <Problem error={versions.error} />
  }
  const rows = versions.data.pages.flatMap(({ items }) => items)
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Text size="sm" className="quiet">
          Every save is a version. A job keeps the one that it began with.
        </Text>
        <CopyAs
          curl={curlOf('GET', `/api/v1/sync-configs/${base.id}/versions`)}
          cli={`syncline configs history ${quote(base.name)}`}
        />
      </Group>
      <DataTable
        name="versions"
        label="Versions"
        columns={columns}
        rows={rows}
        keyOf={({ version }) => String(version)}
        onOpen={setOpened}
        more={versions}
      />
      {opened !== null && <VersionDialog version={opened} onClose={() => setOpened(null)} />}
    </Stack>
  )
}

function columnsOf(open: (version: Version) => void): readonly DataColumn<Version>[] {
  return [
    {
      id: 'version',
      header: 'Version',
      align: 'right',
      value: ({ version }) => version,
      cell: ({ version }) => version,
    },
    { id: 'at', header: 'Saved', value: ({ changed_at: at }) => at, cell: ({ changed_at: at }) => <Time at={at} /> },
    {
      id: 'by',
      header: 'By',
      value: ({ changed_by: by }) => by,
      cell: ({ changed_by: by }) => <span className="mono">{by}</span>,
    },
    { id: 'changes', header: 'What was changed', cell: ({ version, changes }) => changesInWords(version, changes) },
    {
      id: 'open',
      header: '',
      cell: (version) => (
        <Button
          variant="subtle"
          color="gray"
          size="compact-xs"
          onClick={() => open(version)}
          aria-label={`Look at version ${version.version}`}
        >
          Look at
        </Button>
      ),
    },
  ]
}

const NAMED = 3

function changesInWords(version: number, changes: Version['changes']): string {
  if (changes.length === 0) return version === 1 ? 'made' : 'nothing'
  const places = changes.slice(0, NAMED).map(({ path }) => path.slice(1).replaceAll('/', ' › '))
  return [...places, ...(changes.length > NAMED ? [`${changes.length - NAMED} more`] : [])].join(', ')
}

function VersionDialog({ version, onClose }: { readonly version: Version; readonly onClose: () => void }) {
  const { base, document, changes, mayEdit, change } = useDraft()
  const [own, setOwn] = useState(true)
  // Versions are documents that were saved: the service has checked them.
  const then = version.document as Document
  const toNow = differencesOf(document, then)
  return (
    <Dialog onClose={onClose} title={`Version ${version.version} of ${base.name}`} size="xl">
      <Stack gap="md">
        <Group gap="xs">
          <Button variant={own ? 'filled' : 'default'} onClick={() => setOwn(true)} aria-pressed={own}>
            What it changed
          </Button>
          <Button variant={own ? 'default' : 'filled'} onClick={() => setOwn(false)} aria-pressed={!own}>
            From now to then
          </Button>
        </Group>
        <Differences differences={own ? version.changes : toNow} />
        {mayEdit && toNow.length > 0 && (
          <Group justify="flex-end" gap="xs">
            {changes > 0 && (
              <Text size="sm" className="quiet">
                {plural(changes, 'change')} that {changes === 1 ? 'is' : 'are'} not saved give way to it.
              </Text>
            )}
            <Button
              onClick={() => {
                change(() => then)
                onClose()
              }}
            >
              Restore version {version.version}
            </Button>
          </Group>
        )}
      </Stack>
    </Dialog>
  )
}
