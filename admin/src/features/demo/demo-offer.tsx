import { Button, Group, Text } from '@mantine/core'
import { IconFlask } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import { useDemo, useMakeDemo, useMayDemo } from '#features/demo/queries.ts'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { say } from '#ui/say.ts'

/** Beside the first step of an empty page: sample databases with one click, for whoever may have them made. */
export function DemoOffer() {
  const may = useMayDemo()
  const demo = useDemo()
  const navigate = useNavigate()
  const make = useMakeDemo(({ config_id: id }) => {
    say('Demo data is there: two databases, and a sync config between them.')
    if (id !== null) void navigate({ to: '/sync-configs/$id', params: { id } })
  })
  if (!may || demo === undefined || demo.state !== 'none' || demo.unavailable !== null) return null
  return (
    <Group gap={4}>
      <Button
        variant="default"
        leftSection={<IconFlask size={14} aria-hidden />}
        loading={make.isPending}
        onClick={() => make.mutate()}
      >
        Look around with demo data
      </Button>
      <CopyAs curl={curlOf('PUT', '/api/v1/demo')} />
    </Group>
  )
}

/** What the offer brings, or why there is none and what there is instead. */
export function DemoOfferText() {
  const may = useMayDemo()
  const demo = useDemo()
  if (!may || demo === undefined || demo.state !== 'none') return null
  const { unavailable } = demo
  return (
    <Text size="sm" mt="xs" component="p" mb={0}>
      {unavailable === null
        ? 'Demo data is a small shop and an empty copy of it, on two PostgreSQL servers of this service’s own. They take some seconds to start, and go with one click, or when the service ends.'
        : `There is no demo data here. ${unavailable.message} ${unavailable.hint}`}
    </Text>
  )
}
