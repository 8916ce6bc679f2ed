import { Button, Group, Text } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { useDemo, useEditDemo, useMakeDemo, useMayDemo, useRemoveDemo, type DemoData } from '#features/demo/queries.ts'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { TextLink } from '#ui/link.tsx'
import { Notice } from '#ui/notice.tsx'
import { say } from '#ui/say.ts'

interface DemoNoteProps {
  /** Only where one of these datasources is of the demo; left out: wherever there is demo data. */
  readonly of?: readonly string[]
}

/** Says that there is demo data, how it is, and takes it away. */
export function DemoNote({ of }: DemoNoteProps) {
  const demo = useDemo()
  if (demo === undefined || demo.state === 'none') return null
  const own = [demo.source_datasource_id, demo.target_datasource_id]
  if (of !== undefined && !of.some((id) => own.includes(id))) return null
  return (
    <Notice
      tone={demo.state === 'ended' ? 'person' : 'resting'}
      title={demo.state === 'ended' ? 'The demo databases have ended with the service' : 'Demo data'}
    >
      <Group justify="space-between" gap="xs">
        <Text size="sm">
          {demo.state === 'ended'
            ? 'They live as long as its process. What is registered of them leads nowhere until they are made anew.'
            : 'The databases of the demo are samples, which end with the service.'}{' '}
          {of === undefined && demo.config_id !== null && (
            <TextLink to="/sync-configs/$id" params={{ id: demo.config_id }} size="sm" underline="always">
              Open its sync config
            </TextLink>
          )}
        </Text>
        <DemoActions demo={demo} />
      </Group>
    </Notice>
  )
}

function DemoActions({ demo: { state, unavailable } }: { readonly demo: DemoData }) {
  const may = useMayDemo()
  const make = useMakeDemo(() => say('The demo databases are there again, with the shop as it was at first.'))
  const navigate = useNavigate()
  const remove = useRemoveDemo(async () => {
    say('The demo data is removed.')
    await navigate({ to: '/' })
  })
  const edit = useEditDemo((edits) =>
    say(`In the ${edits.map(({ end, words }) => `${end}, ${words}`).join('; in the ')}. A dry run shows it.`),
  )
  if (!may) return null
  return (
    <Group gap="xs">
      {state === 'ready' && (
        <Button variant="default" loading={edit.isPending} onClick={() => edit.mutate()}>
          Let a week go by
        </Button>
      )}
      {state === 'ended' && unavailable === null && (
        <Button variant="default" loading={make.isPending} onClick={() => make.mutate()}>
          Make them anew
        </Button>
      )}
      <Button variant="default" loading={remove.isPending} onClick={() => remove.mutate()}>
        Remove demo data
      </Button>
      <CopyAs
        of={[
          ...(state === 'ended' ? [['Make anew', { curl: curlOf('PUT', '/api/v1/demo') }] as const] : []),
          ...(state === 'ready'
            ? [['Let a week go by', { curl: curlOf('POST', '/api/v1/demo/edits', {}) }] as const]
            : []),
          ['Remove', { curl: curlOf('DELETE', '/api/v1/demo') }],
        ]}
      />
    </Group>
  )
}
