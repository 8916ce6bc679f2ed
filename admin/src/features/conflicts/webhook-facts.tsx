import { Code, Text } from '@mantine/core'
import type { Conflict } from '#features/conflicts/queries.ts'
import { plural } from '#lib/format.ts'
import { Mark, type Tone } from '#ui/mark.tsx'
import { Time } from '#ui/time.tsx'
import classes from './conflicts.module.css'

type Status = NonNullable<Conflict['webhook']>['status']

const WORDS: Readonly<Record<Status, readonly [Tone, string]>> = {
  waiting: ['running', 'The webhook is asked'],
  accepted: ['running', 'The webhook answers later'],
  answered: ['done', 'The webhook has decided'],
  given_up: ['person', 'The webhook has not decided in time'],
  ended: ['resting', 'The webhook is not asked any more'],
}

/** What a program was asked about the conflict, and how far that has come. */
export function WebhookFacts({ found, url }: { readonly found: Conflict; readonly url: string | null }) {
  const { webhook } = found
  if (webhook === null) return null
  const [tone, word] = WORDS[webhook.status]
  return (
    <section className={classes['facts']} aria-label="Webhook">
      <Mark tone={tone}>{word}</Mark>
      <Text size="sm" component="div">
        {webhook.attempts === 0 ? (
          'It has not been asked yet.'
        ) : (
          <>
            Asked {plural(webhook.attempts, 'time')}, the last <Time at={webhook.last_at} />, about both rows as they
            are shown here.
          </>
        )}{' '}
        {webhook.status === 'waiting' && webhook.next_at !== null && (
          <>
            Asked again <Time at={webhook.next_at} />.{' '}
          </>
        )}
        {(webhook.status === 'waiting' || webhook.status === 'accepted') && (
          <>
            Somebody has to decide <Time at={webhook.deadline_at} /> if it has not; you may do so at any time.
          </>
        )}
      </Text>
      {webhook.last_error !== null && (
        <Text size="sm" c="var(--tone-failed)">
          The last attempt failed: {webhook.last_error}
        </Text>
      )}
      <Text size="xs" className="quiet" component="div">
        {url !== null && (
          <>
            <Code>{url}</Code>, message{' '}
          </>
        )}
        <span className="mono">{webhook.id}</span>
      </Text>
    </section>
  )
}
