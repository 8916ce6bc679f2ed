import { Button, Skeleton, Text } from '@mantine/core'
import { IconRefreshAlert, IconX } from '@tabler/icons-react'
import { useVirtualizer } from '@tanstack/react-virtual'
import { Link } from '@tanstack/react-router'
import { useEffect, useRef, type KeyboardEvent } from 'react'
import type { ConflictEntry, ConflictGroup, Filter } from '#features/conflicts/queries.ts'
import { fieldsText, keyText, KINDS, RESOLUTIONS, STATUSES, tableName } from '#features/conflicts/words.ts'
import { formatCount, plural } from '#lib/format.ts'
import type { Paged } from '#ui/data-table.tsx'
import { Mark } from '#ui/mark.tsx'
import classes from './conflicts.module.css'

interface CausesProps {
  readonly groups: readonly ConflictGroup[]
  readonly filter: Filter
  readonly nameOf: (config: string | null) => string | null
  readonly onChoose: (group: ConflictGroup | null) => void
}

/** By what conflicts were caused: choosing one shows these alone. */
export function Causes({ groups, filter, nameOf, onChoose }: CausesProps) {
  const { fields } = filter
  const several = new Set(groups.map(({ config_id: config }) => config)).size > 1
  return (
    <section className={classes['causes']} aria-label="Causes">
      {groups.map((group) => {
        const isChosen = fields !== undefined
        const of = several ? nameOf(group.config_id) : null
        return (
          <button
            key={JSON.stringify([group.config_id, group.last_job_id, group.target, group.kind, group.fields])}
            type="button"
            className={classes['cause']}
            aria-pressed={isChosen}
            title={isChosen ? 'Show all causes' : undefined}
            onClick={() => onChoose(isChosen ? null : group)}
          >
            <span className={classes['causeName']}>
              <span className="mono">{tableName(group.target)}</span> {fieldsText(group.fields)}
            </span>
            <span className={`numbers ${classes['causeCount']}`}>
              {formatCount(group.conflicts)}
              {isChosen && <IconX size={12} aria-hidden />}
            </span>
            <span className={`${classes['causeKind']} quiet`}>
              {KINDS[group.kind]}
              {of === null ? '' : `, ${of}`}
            </span>
            <span className={`quiet numbers ${classes['causeCount']}`}>
              {group.open === 0 ? '' : `${formatCount(group.open)} open`}
            </span>
          </button>
        )
      })}
    </section>
  )
}

interface ListProps {
  readonly items: readonly ConflictEntry[]
  readonly selected: string | undefined
  /** They differ in more than their keys. */
  readonly mixed: boolean
  readonly more: Paged
  readonly onStep: (step: 1 | -1) => void
}

const ROW_PX = 36
const MIXED_ROW_PX = 48

/** The conflicts under each other, in the order in which they were found; the one that is looked at is marked. */
export function ConflictList({ items, selected, mixed, more, onStep }: ListProps) {
  const box = useRef<HTMLElement>(null)
  const height = mixed ? MIXED_ROW_PX : ROW_PX
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => box.current,
    estimateSize: () => height,
    overscan: 12,
    getItemKey: (i) => items[i]?.id ?? i,
  })
  useEffect(() => virtual.measure(), [virtual, height])
  const index = items.findIndex(({ id }) => id === selected)
  useEffect(() => {
    if (index < 0) return
    virtual.scrollToIndex(index, { align: 'auto' })
    // Whoever steps through the list by keys stays in it.
    const isInside = box.current?.contains(document.activeElement) === true
    if (isInside) requestAnimationFrame(() => box.current?.querySelector<HTMLElement>('[aria-current]')?.focus())
  }, [index, virtual])
  const nearEnd = (virtual.getVirtualItems().at(-1)?.index ?? 0) >= items.length - 20
  useEffect(() => {
    if (more.hasNextPage && !more.isFetchingNextPage && nearEnd) void more.fetchNextPage()
  }, [more, nearEnd])
  const step = (event: KeyboardEvent): void => {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return
    event.preventDefault()
    onStep(event.key === 'ArrowDown' ? 1 : -1)
  }
  return (
    <nav ref={box} className={classes['list']} aria-label="Conflicts">
      <div style={{ height: virtual.getTotalSize(), position: 'relative' }}>
        {virtual.getVirtualItems().map(({ index: place, start }) => {
          const item = items[place]
          if (item === undefined) return null
          return (
            <Row
              key={item.id}
              item={item}
              mixed={mixed}
              current={item.id === selected}
              first={index < 0 && place === 0}
              onKeyDown={step}
              style={{ height, transform: `translateY(${start}px)` }}
            />
          )
        })}
      </div>
      {more.isFetchingNextPage && <Skeleton height={height - 8} radius="sm" />}
    </nav>
  )
}

interface RowProps {
  readonly item: ConflictEntry
  readonly mixed: boolean
  readonly current: boolean
  readonly first: boolean
  readonly onKeyDown: (event: KeyboardEvent) => void
  readonly style: { readonly height: number; readonly transform: string }
}

function Row({ item, mixed, current, first, onKeyDown, style }: RowProps) {
  const { tone, icon, word, about } = STATUSES[item.status]
  const again = item.status === 'open' && item.reopened > 0
  return (
    <Link
      to="/conflicts"
      search={(before) => ({ ...before, id: item.id })}
      replace
      preload={false}
      resetScroll={false}
      className={classes['row']}
      style={style}
      tabIndex={current || first ? 0 : -1}
      aria-current={current || undefined}
      onKeyDown={onKeyDown}
    >
      <span className={`mono ${classes['key']}`}>{keyText(item.key)}</span>
      {again ? (
        <Mark tone="person" icon={IconRefreshAlert} about="A side has changed since it was decided.">
          Opened again
        </Mark>
      ) : (
        <Mark tone={tone} icon={icon} about={about}>
          {item.resolution === null ? word : `${word}: ${RESOLUTIONS[item.resolution]}`}
        </Mark>
      )}
      {mixed && (
        <span className={`quiet ${classes['of']}`}>
          {tableName(item.target)} · {fieldsText(item.fields)}
        </span>
      )}
    </Link>
  )
}

interface FootProps {
  readonly shown: number
  readonly total: number
  readonly stale: boolean
  readonly onRefresh: () => void
}

/** How many of how many the list shows, and whether others are there by now. */
export function ListFoot({ shown, total, stale, onRefresh }: FootProps) {
  return (
    <div className={classes['foot']}>
      <Text size="xs" className="quiet numbers">
        {shown < total ? `the first ${formatCount(shown)} of ${formatCount(total)}` : plural(total, 'conflict')}
      </Text>
      {stale && (
        <Button size="compact-xs" variant="subtle" onClick={onRefresh}>
          Show what has changed
        </Button>
      )}
    </div>
  )
}
