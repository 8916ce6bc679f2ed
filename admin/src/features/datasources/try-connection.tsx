import { Button, Group, Stack, Text, Title } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { IconPlugConnected } from '@tabler/icons-react'
import { api, body, type Schemas } from '#api/client.ts'
import { Checks, ChecksPending } from '#ui/checks.tsx'
import { Problem } from '#ui/problem.tsx'

interface TryProps {
  /** What stands in the form; null as long as it is not enough to try. */
  readonly connection: Schemas['DatabaseTestRequest'] | null
  /** A password that is kept cannot be tried from a form: the datasource has its own test. */
  readonly cannot?: string | null
  readonly readOnly: boolean
  readonly title?: string
  readonly verb?: string
}

/** Tries what stands in the form, without keeping anything. */
export function TryConnection({
  connection,
  cannot = null,
  readOnly,
  title = 'Connection test',
  verb = 'Test connection',
}: TryProps) {
  const test = useMutation({
    meta: { shown: true },
    mutationFn: (request: Schemas['DatabaseTestRequest']) =>
      body(api.POST('/api/v1/databases/test', { body: request })),
  })
  const isOld = test.isSuccess && JSON.stringify(test.variables) !== JSON.stringify(connection)
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={2}>{title}</Title>
        {cannot === null && (
          <Button
            variant="default"
            leftSection={<IconPlugConnected size={14} aria-hidden />}
            disabled={connection === null}
            loading={test.isPending}
            onClick={() => connection !== null && test.mutate(connection)}
          >
            {verb}
          </Button>
        )}
      </Group>
      {isOld && (
        <Text size="sm" className="quiet">
          The form was changed since: this is what was found before.
        </Text>
      )}
      {test.isPending && <ChecksPending />}
      {test.isError && <Problem error={test.error} />}
      {test.isSuccess && <Checks test={test.data} readOnly={readOnly} />}
      {test.isIdle && (
        <Text size="sm" className="quiet">
          {cannot ??
            'Name, port, encryption, login, database, server and rights are looked at one by one. Nothing is written, and nothing is kept.'}
        </Text>
      )}
    </Stack>
  )
}
