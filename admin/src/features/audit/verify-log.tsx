import { Button, Group, Stack, Text, TextInput } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconShieldCheck } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body, type Schemas } from '#api/client.ts'
import { formatCount } from '#lib/format.ts'
import { given } from '#lib/search.ts'
import { CopyAs, CopyButton, curlOf } from '#ui/copy.tsx'
import { Dialog } from '#ui/dialog.tsx'
import { Fact, Facts } from '#ui/facts.tsx'
import { Mark } from '#ui/mark.tsx'
import { Problem } from '#ui/problem.tsx'

/** Walks the whole log, and says whether each event is still what was written. */
export function VerifyLog() {
  const [open, { open: show, close }] = useDisclosure(false)
  return (
    <>
      <Button leftSection={<IconShieldCheck size={14} aria-hidden />} onClick={show}>
        Verify the log
      </Button>
      {open && <Verify onClose={close} />}
    </>
  )
}

function Verify({ onClose }: { readonly onClose: () => void }) {
  const [noted, setNoted] = useState('')
  const query = given({ noted: noted.trim() })
  const check = useMutation({
    meta: { shown: true },
    mutationFn: () => body(api.GET('/api/v1/audit/verify', { params: { query } })),
  })
  const tail = noted.trim() === '' ? '' : `?noted=${noted.trim()}`
  return (
    <Dialog onClose={onClose} title="Verify the log" size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          check.mutate()
        }}
      >
        <Stack gap="md">
          <Text size="sm">
            Each event carries the hash of itself and of the one before it. The check walks the whole chain, and names
            the first event that does not fit.
          </Text>
          <TextInput
            label="Head of an earlier check"
            description="As it was noted then. With it, the check also sees whether newer events were taken away."
            placeholder="1042:5fad0c04974502c2…"
            classNames={{ input: 'mono' }}
            data-autofocus
            autoComplete="off"
            value={noted}
            onChange={(event) => setNoted(event.currentTarget.value)}
          />
          {check.isError && <Problem error={check.error} />}
          {check.isSuccess && <Outcome check={check.data} />}
          <Group justify="space-between" gap="xs">
            <CopyAs
              curl={curlOf('GET', `/api/v1/audit/verify${tail}`)}
              cli={`syncline audit verify${noted.trim() === '' ? '' : ` --noted ${noted.trim()}`}`}
            />
            <Group gap="xs">
              <Button variant="default" onClick={onClose}>
                Close
              </Button>
              <Button type="submit" loading={check.isPending}>
                {check.isSuccess ? 'Check again' : 'Check every event'}
              </Button>
            </Group>
          </Group>
        </Stack>
      </form>
    </Dialog>
  )
}

function Outcome({ check }: { readonly check: Schemas['AuditCheck'] }) {
  const { whole, events, head, damage, cut_through: cut } = check
  return (
    <Stack gap="xs" aria-live="polite">
      {whole ? (
        <Mark tone="done">{`The log is whole: ${formatCount(events)} events are what was written`}</Mark>
      ) : (
        <Mark tone="failed">{damage === null ? 'The log is damaged' : `Event ${damage.seq} does not fit`}</Mark>
      )}
      {damage !== null && <Text size="sm">{damage.message}</Text>}
      <Facts>
        <Fact name="Checked">{formatCount(events)} events</Fact>
        {cut !== null && <Fact name="Cut off">Events up to {formatCount(cut)}, by the retention, as the log says</Fact>}
        {head !== null && (
          <Fact name="Head">
            <span className="mono">{head}</span>
          </Fact>
        )}
      </Facts>
      {head !== null && whole && (
        <Group gap="xs">
          <CopyButton text={head}>Copy the head</CopyButton>
          <Text size="xs" className="quiet">
            Note it somewhere else: given at the next check, it shows that nothing was taken away.
          </Text>
        </Group>
      )}
    </Stack>
  )
}
