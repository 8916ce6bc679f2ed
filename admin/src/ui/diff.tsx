import { diffWordsWithSpace, type Change } from 'diff'
import { useMemo } from 'react'
import { Value } from '#ui/value.tsx'
import classes from './value.module.css'

interface DiffProps {
  readonly before: string | null | undefined
  readonly after: string | null | undefined
}

/** From here on a text is compared by its words; a shorter one is read at a glance. */
const LONG = 24

/** The old value struck through and the new one beside it; long texts by word, JSON by line. */
export function Diff({ before, after }: DiffProps) {
  const parts = useMemo(() => compare(before, after), [before, after])
  if (before === after) return <Value text={after} />
  if (parts === null) {
    return (
      <>
        {before !== undefined && (
          <del className={classes['removed']}>
            <Value text={before} />
          </del>
        )}{' '}
        {after !== undefined && (
          <ins className={classes['added']} style={{ textDecoration: 'none' }}>
            <Value text={after} />
          </ins>
        )}
      </>
    )
  }
  return (
    <span className={classes['value']}>
      {parts.map(({ value, added, removed }, i) => (
        <Part key={i} value={value} added={added} removed={removed} />
      ))}
    </span>
  )
}

interface AgainstProps {
  readonly text: string | null | undefined
  /** What it is held against. */
  readonly other: string | null | undefined
}

/** A value of which is marked what another one does not have, where there is one: long texts by word, JSON indented. */
export function Against({ text, other }: AgainstProps) {
  const parts = useMemo(() => compare(other, text), [other, text])
  if (text === other || text === undefined || other === undefined) return <Value text={text} />
  if (parts === null) {
    return (
      <mark className={classes['differs']}>
        <Value text={text} />
      </mark>
    )
  }
  return (
    <span className={classes['value']}>
      {parts.map(({ value, added, removed }, i) => {
        if (removed) return null
        return added ? (
          <mark key={i} className={classes['differs']}>
            {value}
          </mark>
        ) : (
          value
        )
      })}
    </span>
  )
}

function Part({ value, added, removed }: Pick<Change, 'value' | 'added' | 'removed'>) {
  if (added) return <ins className={classes['added']}>{value}</ins>
  if (removed) return <del className={classes['removed']}>{value}</del>
  return <>{value}</>
}

/** By words where both are long texts, JSON indented first; null where both are shown whole. */
function compare(before: DiffProps['before'], after: DiffProps['after']): Change[] | null {
  if (typeof before !== 'string' || typeof after !== 'string') return null
  const [left, right] = [indented(before), indented(after)]
  if (left !== null && right !== null) return diffWordsWithSpace(left, right)
  return before.length < LONG || after.length < LONG ? null : diffWordsWithSpace(before, after)
}

function indented(text: string): string | null {
  if (!/^\s*[{[]/.test(text)) return null
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return null
  }
}
