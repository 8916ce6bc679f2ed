import { Button } from '@mantine/core'
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useMemo, useState, type ReactNode } from 'react'
import { useMay } from '#app/session.ts'
import { BulkDialog } from '#features/conflicts/bulk-dialog.tsx'
import { CarryOutDialog } from '#features/conflicts/carry-out-dialog.tsx'
import { ConflictDetail } from '#features/conflicts/conflict-detail.tsx'
import { ConflictFilters } from '#features/conflicts/conflict-filters.tsx'
import { Causes, ConflictList, ListFoot } from '#features/conflicts/conflict-list.tsx'
import {
  ALL,
  conflictQuery,
  conflictsQuery,
  summaryQuery,
  type Conflict,
  type ConflictEntry,
  type ConflictGroup,
  type Filter,
} from '#features/conflicts/queries.ts'
import { RulesDialog } from '#features/conflicts/rules-dialog.tsx'
import { RunStrip } from '#features/conflicts/run-strip.tsx'
import { useDecisions } from '#features/conflicts/use-decisions.ts'
import { tableName } from '#features/conflicts/words.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'
import { formatCount, plural } from '#lib/format.ts'
import { usePageKeys } from '#lib/keys.ts'
import { changedSearch } from '#lib/search.ts'
import { Answer, Empty, Lines, Page } from '#ui/page.tsx'
import classes from './conflicts.module.css'

type Search = Filter & { readonly id?: string; readonly run?: string }

type Dialog = { readonly is: 'rules' } | { readonly is: 'carry out' } | { readonly is: 'bulk'; readonly filter: Filter }

/** Rows that both sides have changed: found by their cause, looked at side by side, and decided by a key. */
export function ConflictsPage() {
  const search: Search = useSearch({ from: '/shell/conflicts' })
  const { id, run, ...filter } = search
  const navigate = useNavigate({ from: '/conflicts' })
  const change = (changes: Search): void => {
    void navigate({ search: (before) => changedSearch<Search>(before, changes), replace: true, resetScroll: false })
  }
  const [dialog, setDialog] = useState<Dialog | null>(null)
  const [told, announce] = useState('')
  const may = useMay('operator')
  const list = useInfiniteQuery(conflictsQuery(filter))
  const summary = useQuery(summaryQuery(filter)).data
  const configs = useQuery(configsQuery).data
  const items = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data])
  const current = id ?? items[0]?.id
  const select = (next: string): void => change({ id: next })
  const decisions = useDecisions({
    select,
    nextOpen: (of) => nextOpen(items, of),
    announce,
    onRun: (job) => change({ run: job }),
  })
  usePrefetch(items, current)
  const step = (by: 1 | -1): void => {
    const next = items[items.findIndex((item) => item.id === current) + by]
    if (next !== undefined) select(next.id)
  }
  usePageKeys([
    { key: 'j', about: 'Next conflict', press: () => step(1) },
    { key: 'k', about: 'Previous conflict', press: () => step(-1) },
  ])
  const groups = summary?.groups ?? []
  const shown = filterText(filter)
  return (
    <Page
      title="Conflicts"
      state={stateOf(summary?.counts)}
      action={
        <Actions
          filter={filter}
          groups={groups}
          may={may}
          onRules={() => setDialog({ is: 'rules' })}
          onBulk={() => setDialog({ is: 'bulk', filter })}
          onCarryOut={() => setDialog({ is: 'carry out' })}
        />
      }
      filters={<ConflictFilters filter={filter} onChange={(changes) => change({ ...changes, id: '' })} />}
    >
      {run !== undefined && <RunStrip key={run} id={run} onClose={() => change({ run: '' })} />}
      <div className="sr-only" aria-live="polite">
        {told}
      </div>
      <Answer query={list} skeleton={<SplitSkeleton />}>
        {() =>
          items.length === 0 && id === undefined ? (
            <Nothing filtered={shown} onAll={() => change(without(search))} />
          ) : (
            <div className={classes['split']}>
              <div className={classes['side']}>
                <Causes
                  groups={groups}
                  filter={filter}
                  nameOf={(config) => configs?.find((one) => one.id === config)?.name ?? null}
                  onChoose={(group) => change({ ...ofGroup(group), id: '' })}
                />
                <ConflictList items={items} selected={current} mixed={groups.length > 1} more={list} onStep={step} />
                <ListFoot
                  shown={items.length}
                  total={Math.max(items.length, totalOf(groups))}
                  stale={!list.hasNextPage && isStale(items, filter, totalOf(groups))}
                  onRefresh={() => void list.refetch()}
                />
              </div>
              {current !== undefined && (
                <ConflictDetail
                  id={current}
                  decisions={decisions}
                  onAlike={(found) => setDialog({ is: 'bulk', filter: alike(found, filter) })}
                />
              )}
            </div>
          )
        }
      </Answer>
      {dialog?.is === 'rules' && <RulesDialog config={filter.config} onClose={() => setDialog(null)} />}
      {dialog?.is === 'carry out' && (
        <CarryOutDialog config={filter.config} onClose={() => setDialog(null)} onRun={(job) => change({ run: job })} />
      )}
      {dialog?.is === 'bulk' && (
        <Bulk
          filter={dialog.filter}
          onClose={() => setDialog(null)}
          onDecided={(text, job) => {
            announce(text)
            if (job !== null) change({ run: job })
          }}
        />
      )}
    </Page>
  )
}

interface ActionsProps {
  readonly filter: Filter
  readonly groups: readonly ConflictGroup[]
  readonly may: boolean
  readonly onRules: () => void
  readonly onBulk: () => void
  readonly onCarryOut: () => void
}

function Actions({ filter, groups, may, onRules, onBulk, onCarryOut }: ActionsProps) {
  const { config, status = '' } = filter
  const decided = useQuery(summaryQuery({ status: 'resolved', ...(config === undefined ? {} : { config }) })).data
  const count = decided?.counts.resolved ?? 0
  const again = status === 'resolved' || status === 'applied'
  const several = groups.reduce((sum, group) => sum + (again ? group.conflicts : group.open), 0)
  return (
    <>
      <Button variant="subtle" color="gray" onClick={onRules}>
        Rules
      </Button>
      {may && several > 1 && (
        <Button variant="default" onClick={onBulk}>
          Decide all {formatCount(several)}
          {again ? ' anew' : ''}
        </Button>
      )}
      {may && count > 0 && <Button onClick={onCarryOut}>Carry out {plural(count, 'decision')}</Button>}
    </>
  )
}

/** By the groups of its own filter, which need not be that of the page. */
function Bulk({
  filter,
  onClose,
  onDecided,
}: {
  readonly filter: Filter
  readonly onClose: () => void
  readonly onDecided: (text: string, job: string | null) => void
}) {
  const query = useQuery(summaryQuery(filter))
  if (query.data === undefined) return null
  return <BulkDialog filter={filter} groups={query.data.groups} onClose={onClose} onDecided={onDecided} />
}

interface NothingProps {
  readonly filtered: boolean
  readonly onAll: () => void
}

function Nothing({ filtered, onAll }: NothingProps) {
  if (filtered) {
    return (
      <Empty
        title="No conflict is like this"
        action={
          <Button variant="default" onClick={onAll}>
            Show all conflicts
          </Button>
        }
      >
        Nothing that the filters let through is there.
      </Empty>
    )
  }
  return (
    <Empty
      title="Nothing waits for a decision"
      action={
        <Button variant="default" onClick={onAll}>
          Show those that are settled
        </Button>
      }
    >
      A conflict is a row that both sides have changed since they were last in step. Where the strategy of a sync config
      is <span className="mono">merge</span>, <span className="mono">manual</span> or{' '}
      <span className="mono">webhook</span>, what cannot be decided by itself waits here, and all other rows go on.
    </Empty>
  )
}

function SplitSkeleton(): ReactNode {
  return (
    <div className={classes['split']}>
      <Lines count={12} />
      <Lines count={6} />
    </div>
  )
}

/** The next one is there as soon as one is decided. */
function usePrefetch(items: readonly ConflictEntry[], current: string | undefined): void {
  const client = useQueryClient()
  useEffect(() => {
    const at = items.findIndex(({ id }) => id === current)
    for (const item of items.slice(at + 1, at + 3)) void client.prefetchQuery(conflictQuery(item.id))
  }, [items, current, client])
}

function nextOpen(items: readonly ConflictEntry[], id: string): ConflictEntry | null {
  const at = items.findIndex((item) => item.id === id)
  const isNext = (item: ConflictEntry): boolean => item.status === 'open' && item.id !== id
  return items.slice(at + 1).find(isNext) ?? items.find(isNext) ?? null
}

function stateOf(counts: { readonly open: number; readonly resolved: number } | undefined): string {
  if (counts === undefined) return ' '
  const { open, resolved } = counts
  const waits =
    open === 0
      ? 'None waits for a decision'
      : `${plural(open, 'conflict')} ${open === 1 ? 'waits' : 'wait'} for a decision`
  return resolved === 0 ? `${waits}.` : `${waits}; ${plural(resolved, 'decision')} not carried out yet.`
}

function totalOf(groups: readonly ConflictGroup[]): number {
  return groups.reduce((sum, { conflicts }) => sum + conflicts, 0)
}

/** Whether the list lacks what is there by now, apart from what was decided in it. */
function isStale(items: readonly ConflictEntry[], { status = 'open,resolved' }: Filter, total: number): boolean {
  const matching = status === ALL ? items : items.filter((item) => status.split(',').includes(item.status))
  return matching.length !== total
}

function filterText({ status: _status, ...filter }: Filter): boolean {
  return Object.keys(filter).length > 0 || (_status !== undefined && _status !== ALL)
}

/** Everything, whatever it was narrowed to. */
function without(search: Search): Search {
  return { ...Object.fromEntries(Object.keys(search).map((name) => [name, ''])), status: ALL }
}

function ofGroup(group: ConflictGroup | null): Filter {
  if (group === null) return { table: '', kind: '', fields: '' }
  const { config_id: config, target, kind, fields } = group
  return {
    table: tableName(target),
    kind,
    fields: JSON.stringify(fields),
    ...(config === null ? {} : { config }),
  }
}

/** What has the same cause as a conflict, and is as far. */
function alike(
  { config_id: config, last_job_id: job, target, kind, fields, status }: Conflict,
  filter: Filter,
): Filter {
  return {
    ...(status === 'open' ? {} : { status }),
    ...(config === null ? { job } : { config, ...(filter.job === undefined ? {} : { job: filter.job }) }),
    table: tableName(target),
    kind,
    fields: JSON.stringify(fields),
  }
}
