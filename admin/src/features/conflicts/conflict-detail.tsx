import { Group, Skeleton, Stack, Text, Title } from '@mantine/core'
import { IconRefreshAlert } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useMay } from '#app/session.ts'
import { DecisionBar } from '#features/conflicts/decision-bar.tsx'
import { FieldRows } from '#features/conflicts/field-rows.tsx'
import { HolderFacts } from '#features/conflicts/holder-facts.tsx'
import { conflictQuery, placeOf, type Conflict } from '#features/conflicts/queries.ts'
import { choiceOf, fieldsOf, mergedChoice, mergedDraft, missing, type Draft } from '#features/conflicts/row-draft.ts'
import type { Decisions } from '#features/conflicts/use-decisions.ts'
import { useEnds, type SyncEnds } from '#features/conflicts/use-ends.ts'
import { WebhookFacts } from '#features/conflicts/webhook-facts.tsx'
import { canTake, decidedText, keyText, KINDS, STATUSES, tableName } from '#features/conflicts/words.ts'
import { usePageKeys, type PageKey } from '#lib/keys.ts'
import { plural } from '#lib/format.ts'
import { Mark } from '#ui/mark.tsx'
import { Answer } from '#ui/page.tsx'
import { Time } from '#ui/time.tsx'
import classes from './conflicts.module.css'
import { TextLink } from '#ui/link.tsx'

interface DetailProps {
  readonly id: string
  readonly decisions: Decisions
  /** Decides about all that have the same cause. */
  readonly onAlike: (found: Conflict) => void
}

/** Rows that are built are kept while the page is open: whoever goes on and comes back finds them. */
const drafts = new Map<string, Draft>()

/** One conflict: both rows side by side, and what is to become of them. */
export function ConflictDetail({ id, decisions, onAlike }: DetailProps) {
  const query = useQuery(conflictQuery(id))
  return (
    <section className={classes['detail']} aria-label="The conflict">
      <Answer query={query} skeleton={<DetailSkeleton />}>
        {(found) => <Shown key={`${found.id} ${found.kind}`} {...{ found, decisions, onAlike }} />}
      </Answer>
    </section>
  )
}

function Shown({ found, decisions, onAlike }: Omit<DetailProps, 'id'> & { readonly found: Conflict }) {
  const ends = useEnds(placeOf(found))
  const may = useMay('operator') && found.status !== 'closed'
  const fields = fieldsOf(found)
  const merged = mergedChoice(fields)
  const slot = `${found.id} ${found.last_at}`
  const [draft, setDraft] = useState<Draft>(drafts.get(slot) ?? {})
  const change = (next: Draft): void => {
    drafts.set(slot, next)
    setDraft(next)
  }
  const decide = (choice: Parameters<Decisions['decide']>[1]): void => decisions.decide(found, choice)
  const keys: PageKey[] = [
    { key: 's', about: 'Leave both as they are', press: () => decide({ take: 'skip' }) },
    { key: 'u', about: 'Take a decision back', press: () => decisions.takeBack(found) },
  ]
  if (canTake(found, 'source')) {
    keys.unshift({ key: 'a', about: 'Take the row of the source', press: () => decide({ take: 'source' }) })
  }
  if (canTake(found, 'target')) {
    keys.unshift({ key: 'b', about: 'Take the row of the target', press: () => decide({ take: 'target' }) })
  }
  if (merged !== null) keys.push({ key: 'm', about: 'Take what merges by itself', press: () => decide(merged) })
  usePageKeys(may ? keys : [])
  const choices = { ...mergedDraft(fields), ...draft }
  const open = missing(fields, choices)
  const built = Object.keys(draft).length > 0 && open.length === 0 ? choiceOf(fields, choices) : null
  return (
    <Stack gap="sm">
      <Heading found={found} ends={ends} />
      {may && (
        <DecisionBar
          found={found}
          ends={ends}
          merged={merged}
          decide={decide}
          takeBack={() => decisions.takeBack(found)}
          onAlike={() => onAlike(found)}
        />
      )}
      <FieldRows
        found={found}
        fields={fields}
        ends={ends}
        building={
          may
            ? {
                choices,
                begun: Object.keys(draft).length > 0,
                change: (more) => change({ ...draft, ...more }),
                reset: () => change({}),
                missing: open,
                built,
                take: decide,
              }
            : null
        }
      />
      <HolderFacts holder={found.holder} />
      <WebhookFacts found={found} url={ends.config?.webhook_url ?? null} />
      <Origin found={found} />
    </Stack>
  )
}

function Heading({ found, ends }: { readonly found: Conflict; readonly ends: SyncEnds }) {
  const { tone, icon, word, about } = STATUSES[found.status]
  const key = found.key_columns.map((name, i) => `${name} ${found.key[i] ?? 'NULL'}`).join(', ')
  const again = found.status === 'open' && found.reopened > 0
  return (
    <div>
      <Group gap="sm" wrap="wrap">
        <Title order={2}>
          <span className="mono">{tableName(found.target)}</span> {key === '' ? keyText(found.key) : key}
        </Title>
        {again ? (
          <Mark tone="person" icon={IconRefreshAlert}>
            Opened again
          </Mark>
        ) : (
          <Mark tone={tone} icon={icon} about={about}>
            {word}
          </Mark>
        )}
        {ends.config !== undefined && <Text size="sm">{ends.config.name}</Text>}
      </Group>
      <Text size="sm" className="quiet" component="div">
        {KINDS[found.kind]}.{found.reason === null ? '' : ` ${found.reason}`}
        {again && (
          <>
            {' '}
            {found.reopened === 1 ? 'A decision' : plural(found.reopened, 'decision')} did not apply, because a side had
            changed since: these are the rows of now.
          </>
        )}
        {found.resolved !== null && (
          <>
            {' '}
            {found.status === 'applied' ? 'Carried out' : 'Decided'}: {decidedText(found.resolution, found.removes_row)}
            , by {found.resolved.name} <Time at={found.resolved.at} />.
            {found.status === 'applied' && ' The version that lost is kept, and can be taken after all.'}
          </>
        )}
      </Text>
    </div>
  )
}

/** Where it comes from: who left it to a person, and which jobs saw it. */
function Origin({ found }: { readonly found: Conflict }) {
  const { strategy, first_job_id: first, last_job_id: last, first_at: firstAt, last_at: lastAt } = found
  return (
    <Text size="xs" className="quiet" component="div">
      Found <Time at={firstAt} /> by{' '}
      <TextLink to="/jobs/$id" params={{ id: first }} size="xs" underline="always">
        {first}
      </TextLink>
      {first !== last && (
        <>
          , last seen <Time at={lastAt} /> by{' '}
          <TextLink to="/jobs/$id" params={{ id: last }} size="xs" underline="always">
            {last}
          </TextLink>
        </>
      )}
      ; left to somebody by the strategy <span className="mono">{strategy}</span>.{' '}
      <span className="mono">{found.id}</span>
    </Text>
  )
}

function DetailSkeleton() {
  return (
    <Stack gap="sm">
      <Skeleton height={44} width="60%" radius="sm" />
      <Skeleton height={48} radius="sm" />
      <Skeleton height={72} radius="sm" />
      <Skeleton height={72} radius="sm" />
    </Stack>
  )
}
