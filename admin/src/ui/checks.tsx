import { Anchor, Code, Group, Skeleton, Stack, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconArrowRight, IconCircleDashed } from '@tabler/icons-react'
import type { Schemas } from '#api/client.ts'
import { formatDuration, plural } from '#lib/format.ts'
import { readAdvice } from '#lib/statements.ts'
import { CopyButton } from '#ui/copy.tsx'
import { Mark, type Tone } from '#ui/mark.tsx'
import { Time } from '#ui/time.tsx'
import classes from './checks.module.css'

type Check = Schemas['Check']

interface ChecksProps {
  readonly test: Schemas['ConnectionTest']
  /** It is read alone: what only a target needs is no cause for worry. */
  readonly readOnly?: boolean
}

/** A connection step by step: what was found, how long it took, and the one next step where there is one. */
export function Checks({ test, readOnly = false }: ChecksProps) {
  return (
    <Stack gap="xs">
      <Group gap="md" aria-live="polite">
        <Verdict test={test} readOnly={readOnly} />
        <Text size="xs" className="quiet" component="span">
          <Time at={test.at} />
        </Text>
      </Group>
      <Steps checks={test.checks.filter((check) => weigh(check, readOnly) !== 'optional')} readOnly={readOnly} />
      <Optional checks={test.checks.filter((check) => weigh(check, readOnly) === 'optional')} />
    </Stack>
  )
}

function Steps({ checks, readOnly }: { readonly checks: readonly Check[]; readonly readOnly: boolean }) {
  return (
    <ol className={classes['checks']} aria-label="Steps of the test">
      {checks.map((check) => (
        <Step key={check.step} check={check} readOnly={readOnly} />
      ))}
    </ol>
  )
}

/** Rights that only targets and change capture need: folded, where nothing of that is asked for. */
function Optional({ checks }: { readonly checks: readonly Check[] }) {
  const [open, { toggle }] = useDisclosure(false)
  if (checks.length === 0) return null
  return (
    <>
      <Anchor component="button" type="button" size="sm" ta="left" onClick={toggle} aria-expanded={open}>
        {open ? 'Hide' : 'Show'} {plural(checks.length, 'right')} that only targets or change capture need
      </Anchor>
      {open && <Steps checks={checks} readOnly />}
    </>
  )
}

/** How a test ended, in a word and a number. */
export function Verdict({ test: { checks, ok }, readOnly = false }: ChecksProps) {
  const failed = checks.find(({ state }) => state === 'fail')
  const warned = checks.filter((check) => weigh(check, readOnly) === 'warn').length
  if (!ok || failed !== undefined) return <Mark tone="failed">{`Failed at: ${failed?.step ?? 'the test'}`}</Mark>
  if (warned > 0) return <Mark tone="person">{`Connected, ${plural(warned, 'warning')}`}</Mark>
  return <Mark tone="done">Connected</Mark>
}

export type Weight = Check['state'] | 'optional'

/** What a step means for whoever reads alone, or does without change capture: the advice itself says whom it is for. */
export function weigh({ state, next }: Pick<Check, 'state' | 'next'>, readOnly: boolean): Weight {
  if (state !== 'warn' || next === null) return state
  if (next.startsWith('Only for change capture')) return 'optional'
  return readOnly && next.startsWith('Only for a target') ? 'optional' : state
}

const MARKS: Readonly<Record<Weight, readonly [Tone, string]>> = {
  pass: ['done', 'Pass'],
  warn: ['person', 'Warning'],
  fail: ['failed', 'Failed'],
  optional: ['resting', 'Optional'],
}

function Step({ check, readOnly }: { readonly check: Check; readonly readOnly: boolean }) {
  const weight = weigh(check, readOnly)
  const [tone, word] = MARKS[weight]
  const advice = check.next === null ? null : readAdvice(check.next)
  return (
    <li>
      <Mark tone={tone} {...(weight === 'optional' ? { icon: IconCircleDashed } : {})}>
        {word}
      </Mark>
      <span>{capital(check.step)}</span>
      <span className={classes['found']}>{check.found}</span>
      <span className={`${classes['ms']} numbers`}>{formatDuration(check.ms)}</span>
      {advice !== null && advice.words !== '' && (
        <span className={`${classes['next']} ${weight === 'optional' ? 'quiet' : ''}`}>
          <IconArrowRight size={14} aria-hidden />
          <span>{advice.words}</span>
        </span>
      )}
      {advice !== null && advice.sql !== '' && (
        <div className={classes['sql']}>
          <Code block className={classes['statements']}>
            {advice.sql}
          </Code>
          <CopyButton text={advice.sql}>Copy the SQL</CopyButton>
        </div>
      )}
    </li>
  )
}

/** While the steps are taken: as many lines as there will be, more or less. */
export function ChecksPending() {
  return (
    <Stack gap="xs" aria-busy="true">
      <Text size="sm" aria-live="polite">
        Connecting step by step…
      </Text>
      {Array.from({ length: 8 }, (_, i) => (
        <Skeleton key={i} height={20} radius="sm" />
      ))}
    </Stack>
  )
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
