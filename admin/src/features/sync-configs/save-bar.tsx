import { Button, Group, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { ApiProblem } from '#api/client.ts'
import { Differences } from '#features/sync-configs/differences.tsx'
import { differencesOf, documentOf, rebase } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { tabOfPlace } from '#features/sync-configs/places.ts'
import type { SyncConfig } from '#features/sync-configs/queries.ts'
import { useShow } from '#features/sync-configs/use-shown.ts'
import { fileMeans } from '#lib/config-file.ts'
import { plural } from '#lib/format.ts'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { Dialog } from '#ui/dialog.tsx'
import { Mark } from '#ui/mark.tsx'
import { Problem } from '#ui/problem.tsx'
import classes from './sync-configs.module.css'

/** What is changed and not saved, with what can be done about it. It stays in sight while one scrolls. */
export function SaveBar({ newest }: { readonly newest: SyncConfig }) {
  const { base, document, changes, unread, save, discard } = useDraft()
  const [shown, setShown] = useState(false)
  if (changes === 0 && unread === null) return null
  const refusal = save.error
  const isStale = refusal instanceof ApiProblem && refusal.code === 'version_conflict'
  return (
    <section className={classes['save']} aria-label="Changes that are not saved">
      <Stack gap="xs">
        <Group justify="space-between" wrap="nowrap">
          <Text size="sm" aria-live="polite">
            {unread !== null
              ? 'The YAML cannot be read yet: nothing of it is saved.'
              : `${plural(changes, 'change')} not saved.`}
            {newest.version > base.version && ` Meanwhile somebody saved version ${newest.version}.`}
          </Text>
          <Group gap="xs" wrap="nowrap">
            <CopyAs
              curl={curlOf('PUT', `/api/v1/sync-configs/${base.id}`, document)}
              {...fileMeans({ sync_configs: [document] })}
            />
            <Button variant="subtle" color="gray" onClick={() => setShown(true)}>
              Show changes
            </Button>
            <Button variant="default" onClick={discard}>
              Discard
            </Button>
            <Button onClick={() => save.mutate()} loading={save.isPending} disabled={unread !== null}>
              Save
            </Button>
          </Group>
        </Group>
        {refusal !== null && !isStale && <Refusal error={refusal} />}
      </Stack>
      {shown && (
        <Dialog onClose={() => setShown(false)} title="Changes that are not saved" size="xl">
          <Differences differences={differencesOf(documentOf(base), document)} />
        </Dialog>
      )}
      {isStale && newest.version > base.version && <Stale theirs={newest} />}
    </section>
  )
}

/** What the service refused: each place leads to where it is edited. */
function Refusal({ error }: { readonly error: Error }) {
  const show = useShow()
  if (!(error instanceof ApiProblem) || error.places.length === 0) return <Problem error={error} />
  return (
    <Stack gap={4} role="alert">
      <Mark tone="failed">{`Not saved: ${plural(error.places.length, 'place')} ${error.places.length === 1 ? 'is' : 'are'} not right.`}</Mark>
      {error.places.map(({ place, message }) => (
        <Group key={place} gap="xs" wrap="nowrap">
          <Button variant="default" size="compact-xs" className="mono" onClick={() => show({ tab: tabOfPlace(place) })}>
            {place.replace(/^body#\/?/, '') || 'document'}
          </Button>
          <Text size="sm">{message}</Text>
        </Group>
      ))}
    </Stack>
  )
}

/** Somebody else saved a version since the one that these changes were made on. */
function Stale({ theirs }: { readonly theirs: SyncConfig }) {
  const { base, document, save, rest } = useDraft()
  const close = (): void => save.reset()
  const before = documentOf(base)
  const { document: merged, clashes } = rebase(before, document, documentOf(theirs))
  return (
    <Dialog onClose={close} title={`Somebody saved version ${theirs.version} meanwhile`} size="xl">
      <Stack gap="md">
        <Text size="sm">
          Your changes were made on version {base.version}. This is what version {theirs.version} changed:
        </Text>
        <Differences differences={differencesOf(before, documentOf(theirs))} />
        <Text size="sm">
          {clashes.length === 0
            ? 'You both changed different fields: nothing is lost by putting yours on top.'
            : `You both changed ${clashes.join(', ')}: with yours on top, theirs is lost there.`}
        </Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Back to editing
          </Button>
          <Button variant="default" onClick={() => rest(theirs, documentOf(theirs))}>
            Take version {theirs.version}, drop mine
          </Button>
          <Button onClick={() => rest(theirs, merged)}>Put mine on version {theirs.version}</Button>
        </Group>
      </Stack>
    </Dialog>
  )
}
