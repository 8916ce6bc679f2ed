import { Button, Group, Stack, Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import type { Schemas } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import type { Onward } from '#features/dumps/restore-steps.tsx'
import { amountOf, Details, PlanHead } from '#features/dumps/restored.tsx'
import { ConsentDialog, type Consent } from '#features/jobs/consent-dialog.tsx'
import { nameOfDatasource } from '#features/jobs/job-name.tsx'
import type { RestoreReceipt } from '#features/jobs/receipt.ts'
import type { Datasource } from '#features/datasources/queries.ts'
import { plural } from '#lib/format.ts'
import { CopyAs, type OtherMeans } from '#ui/copy.tsx'
import { TextLink } from '#ui/link.tsx'
import { Environment, Mark } from '#ui/mark.tsx'
import { Problem } from '#ui/problem.tsx'

/** What takes away a refusal, where somebody may simply agree to it. */
interface Remedy {
  readonly code: string
  readonly word: string
  /** Only they may. */
  readonly isAdmins: boolean
  readonly again: () => Promise<Schemas['StartedJob']>
}

/** An import or a copy that is planned, and how it is asked for. */
interface Planned extends Onward {
  readonly restored: RestoreReceipt
  readonly target: Datasource
  /** Where it comes from. */
  readonly from: ReactNode
  /** `Import`, `Copy`. */
  readonly verb: string
  /** What is replaced is kept first. */
  readonly keeps: boolean
  readonly means: (consent: Consent) => OtherMeans
  readonly start: (consent: Consent, once: string) => Promise<Schemas['StartedJob']>
  readonly planAgain: () => Promise<Schemas['StartedJob']>
  readonly remedies: readonly Remedy[]
}

/** What would be done, before anybody agrees to it. */
export function RestorePlan(planned: Planned) {
  const { restored, target, from, verb, means } = planned
  const mayAct = useMay('operator')
  const [asking, setAsking] = useState(false)
  const name = nameOfDatasource(target)
  return (
    <Stack gap="lg">
      <Stack gap="xs">
        <PlanHead restored={restored} />
        <Text size="sm" className="quiet" component="div">
          {from}: {amountOf(restored)}.
        </Text>
        {target.protected && (
          <Group gap="xs">
            <Environment name={target.effective_environment} />
            <Text size="sm">
              <b>{name}</b> is protected against writes: its name has to be typed.
            </Text>
          </Group>
        )}
        {!target.writable && (
          <Group gap="xs">
            <Mark tone="person">{`${name} is read-only: nothing is written to it yet`}</Mark>
            <TextLink to="/datasources/$id" params={{ id: target.id }} search={{ tab: 'settings' }}>
              Make it writable
            </TextLink>
          </Group>
        )}
        {mayAct && (
          <Group gap="xs">
            {restored.refusals.length > 0 ? (
              <Again {...planned} />
            ) : (
              <>
                <Button disabled={!target.writable} onClick={() => setAsking(true)}>
                  {verb} into {name}
                </Button>
                <CopyAs {...means({})} />
              </>
            )}
          </Group>
        )}
      </Stack>
      <Details restored={restored} isPlan />
      {asking && <Agree {...planned} onClose={() => setAsking(false)} />}
    </Stack>
  )
}

/** What somebody was shown is what is to be done, or nothing is. */
export function agreedTo({ plan_digest: digest = null }: RestoreReceipt): { readonly agreed_plan?: string } {
  return digest === null ? {} : { agreed_plan: digest }
}

/** Names the target, and what becomes of what is there; a protected one wants its name typed. */
function Agree({ restored, target, verb, keeps, means, start, onStarted, onClose }: Planned & { onClose: () => void }) {
  const client = useQueryClient()
  const [once] = useState(() => crypto.randomUUID())
  const gone = (restored.replaced ?? []).length + (restored.takes_back ?? []).length
  return (
    <ConsentDialog
      title={`${verb} into ${nameOfDatasource(target)}`}
      verb={verb}
      target={target}
      means={means}
      onClose={onClose}
      act={async (consent) => {
        const { job_id: job } = await start(consent, once)
        await client.invalidateQueries({ queryKey: ['jobs'] })
        onStarted(job)
      }}
    >
      <Text size="sm">
        {sentence(amountOf(restored))} come in, all in one transaction: an error, a cancelled job or a killed process
        leaves everything as it is.
      </Text>
      {gone > 0 && (
        <Text size="sm" mt="xs">
          {plural(gone, 'thing')} that {gone === 1 ? 'is' : 'are'} there now {gone === 1 ? 'is' : 'are'} replaced
          {(restored.takes_back ?? []).length > 0 && ' or taken back'}.{' '}
          {keeps ? (
            'A backup of it is kept first, which brings it back.'
          ) : (
            <b>No backup is kept: what is replaced does not come back.</b>
          )}
        </Text>
      )}
    </ConsentDialog>
  )
}

function sentence(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}

function Again({ restored: { refusals }, remedies, planAgain, onPlanned }: Planned) {
  const client = useQueryClient()
  const isAdmin = useMay('admin')
  const again = useMutation({
    meta: { shown: true },
    mutationFn: (plan: () => Promise<Schemas['StartedJob']>) => plan(),
    onSuccess: async ({ job_id: id }) => {
      await client.invalidateQueries({ queryKey: ['jobs'] })
      onPlanned(id)
    },
  })
  const offered = remedies.filter(({ code }) => refusals.some((refusal) => refusal.code === code))
  const mine = offered.filter(({ isAdmins }) => isAdmin || !isAdmins)
  return (
    <Stack gap="xs">
      <Group gap="xs">
        {mine.map(({ code, word, again: plan }) => (
          <Button key={code} variant="default" loading={again.isPending} onClick={() => again.mutate(plan)}>
            {word}
          </Button>
        ))}
        {mine.length === 0 && (
          <Button variant="default" loading={again.isPending} onClick={() => again.mutate(planAgain)}>
            Plan again
          </Button>
        )}
      </Group>
      {mine.length < offered.length && (
        <Text size="sm" className="quiet">
          Only an admin may say that what comes in is trusted.
        </Text>
      )}
      {again.error !== null && <Problem error={again.error} />}
    </Stack>
  )
}
