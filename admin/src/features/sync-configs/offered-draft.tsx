import { Button, Group, Text } from '@mantine/core'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { plural } from '#lib/format.ts'
import { Notice } from '#ui/notice.tsx'

/** What was being edited when this page was left or loaded again in the same tab. */
export function OfferedDraft() {
  const { base, offered } = useDraft()
  if (offered === null) return null
  const { changes, version, takeUp, letGo } = offered
  return (
    <Notice
      tone="person"
      title={`${plural(changes, 'change')} from before ${changes === 1 ? 'was' : 'were'} not saved`}
    >
      <Text size="sm">
        This page was left or loaded again meanwhile. {changes === 1 ? 'It was' : 'They were'} made on version {version}
        {version === base.version ? '.' : `; this is version ${base.version}.`}
      </Text>
      <Group gap="xs" mt="xs">
        <Button onClick={takeUp}>Take {changes === 1 ? 'it' : 'them'} up again</Button>
        <Button variant="default" onClick={letGo}>
          Forget {changes === 1 ? 'it' : 'them'}
        </Button>
      </Group>
    </Notice>
  )
}
