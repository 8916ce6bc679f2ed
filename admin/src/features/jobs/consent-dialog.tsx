import { Button, Group, Stack, Text, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { ApiProblem } from '#api/client.ts'
import { useFreshKey } from '#app/fresh-key.tsx'
import { WayOut } from '#features/datasources/let-write.tsx'
import type { Datasource } from '#features/datasources/queries.ts'
import { nameOfDatasource } from '#features/jobs/job-name.tsx'
import { formatCount } from '#lib/format.ts'
import { CopyAs, type OtherMeans } from '#ui/copy.tsx'
import { Dialog } from '#ui/dialog.tsx'
import { Environment } from '#ui/mark.tsx'
import { Notice } from '#ui/notice.tsx'
import { Problem } from '#ui/problem.tsx'

/** What lets a job write more than it would by itself. */
export interface Consent {
  readonly allow_protected_write?: true
  readonly allow_protected_source_write?: true
  readonly approve_deletes?: number
  readonly approve_overwrites?: number
  readonly confirm?: string
}

/** The very numbers at which brakes stopped. */
export interface Brakes {
  readonly deletes?: number
  readonly overwrites?: number
}

interface ConsentDialogProps {
  readonly title: string
  readonly verb: string
  /** Null where nothing is written, and nobody need know of it. */
  readonly target: Datasource | null
  /** Of a sync both ways, whose source is written too. */
  readonly writtenSource?: Datasource | undefined
  readonly brakes?: Brakes
  /** What it does to the target, up to its name. */
  readonly does?: string
  /** Nothing is written by it: there is nothing to consent to. */
  readonly isQuiet?: boolean
  readonly means: (consent: Consent) => OtherMeans
  readonly act: (consent: Consent) => Promise<unknown>
  readonly onClose: () => void
  readonly children: ReactNode
}

/**
 * Asks before something is written: it names the target, wants its name typed where the service does, and names the very
 * numbers that a brake wants approved.
 */
export function ConsentDialog(props: ConsentDialogProps) {
  const {
    title,
    verb,
    target,
    writtenSource,
    does = 'It writes to',
    isQuiet = false,
    means,
    act,
    onClose,
    children,
  } = props
  const withFreshKey = useFreshKey()
  const [brakes, setBrakes] = useState<Brakes>(props.brakes ?? {})
  const [typed, setTyped] = useState('')
  const name = target === null ? '' : nameOfDatasource(target)
  const opens: Consent =
    isQuiet || target === null
      ? {}
      : {
          ...(target.protected ? { allow_protected_write: true } : {}),
          ...(writtenSource?.protected === true ? { allow_protected_source_write: true } : {}),
          ...(brakes.deletes === undefined ? {} : { approve_deletes: brakes.deletes }),
          ...(brakes.overwrites === undefined ? {} : { approve_overwrites: brakes.overwrites }),
        }
  const needsName = Object.keys(opens).length > 0
  const consent: Consent = needsName ? { ...opens, confirm: name } : opens
  const doing = useMutation({
    meta: { shown: true },
    mutationFn: () => withFreshKey(() => act(consent)),
    onSuccess: onClose,
    onError: (error) => setBrakes((known) => ({ ...known, ...brakesOf(error) })),
  })
  return (
    <Dialog onClose={onClose} title={title} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          doing.mutate()
        }}
      >
        <Stack gap="sm">
          <div>{children}</div>
          {!isQuiet && target !== null && (
            <Text size="sm">
              {does} <b>{name}</b> <Environment name={target.effective_environment} />
              {writtenSource !== undefined && (
                <>
                  {' '}
                  and to <b>{nameOfDatasource(writtenSource)}</b>{' '}
                  <Environment name={writtenSource.effective_environment} />
                </>
              )}
              .
            </Text>
          )}
          <BrakeNote brakes={brakes} />
          {needsName && (
            <TextInput
              data-autofocus
              label={
                <>
                  Type <b>{name}</b> to go on
                </>
              }
              autoComplete="off"
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
            />
          )}
          {doing.error !== null && <Problem error={doing.error} />}
          <WayOut error={doing.error} of={[target ?? undefined, writtenSource]} />
          <Group justify="space-between" gap="xs">
            <CopyAs {...means(consent)} />
            <Group gap="xs">
              <Button variant="default" onClick={onClose}>
                Close
              </Button>
              <Button
                type="submit"
                {...(needsName ? { color: 'red.8' } : { 'data-autofocus': true })}
                loading={doing.isPending}
                disabled={needsName && typed !== name}
              >
                {verb}
              </Button>
            </Group>
          </Group>
        </Stack>
      </form>
    </Dialog>
  )
}

function BrakeNote({ brakes: { deletes, overwrites } }: { readonly brakes: Brakes }) {
  if (deletes === undefined && overwrites === undefined) return null
  return (
    <Notice tone="failed" title="More than a brake lets pass">
      {deletes !== undefined && <div>You approve exactly {formatCount(deletes)} deletes.</div>}
      {overwrites !== undefined && <div>You approve exactly {formatCount(overwrites)} overwrites.</div>}
    </Notice>
  )
}

/** The number that a brake wants approved, which its hint names. */
export function brakesOf(error: unknown): Brakes {
  const isBrake = (code: string): boolean => code === 'delete_brake' || code === 'overwrite_brake'
  const { code, hint } =
    error instanceof ApiProblem ? error : ((error as { code?: string; hint?: string } | null) ?? {})
  if (code === undefined || !isBrake(code)) return {}
  const [, what, number] = /approve[-_](deletes|overwrites) (\d+)/.exec(hint ?? '') ?? []
  return what === undefined ? {} : { [what]: Number(number) }
}

/** The flags of a command that say the same. */
export function consentFlags(consent: Consent): readonly string[] {
  return [
    ...(consent.allow_protected_write ? ['--allow-protected-write'] : []),
    ...(consent.approve_deletes === undefined ? [] : ['--approve-deletes', String(consent.approve_deletes)]),
    ...(consent.approve_overwrites === undefined ? [] : ['--approve-overwrites', String(consent.approve_overwrites)]),
    ...(consent.confirm === undefined ? [] : ['--confirm', consent.confirm]),
  ]
}
