import { Button, Checkbox, Group, Text, Textarea } from '@mantine/core'
import { IconChevronDown, IconChevronRight } from '@tabler/icons-react'
import { useState, type ReactNode } from 'react'
import type { Choice, Conflict } from '#features/conflicts/queries.ts'
import type { Cell, Draft, Field, FieldChoice } from '#features/conflicts/row-draft.ts'
import type { SyncEnds } from '#features/conflicts/use-ends.ts'
import { plural } from '#lib/format.ts'
import { Against } from '#ui/diff.tsx'
import { Environment, Mark } from '#ui/mark.tsx'
import { Value } from '#ui/value.tsx'
import classes from './conflicts.module.css'

/** A row that is built by choosing a value for each field. */
export interface Building {
  readonly choices: Draft
  /** Somebody has chosen something. */
  readonly begun: boolean
  readonly change: (choices: Draft) => void
  readonly reset: () => void
  /** What has to be chosen still. */
  readonly missing: readonly string[]
  /** The decision, once everything is chosen. */
  readonly built: Choice | null
  readonly take: (choice: Choice) => void
}

interface RowsProps {
  readonly found: Conflict
  readonly fields: readonly Field[]
  readonly ends: SyncEnds
  /** Null for who may not decide. */
  readonly building: Building | null
}

/** Both rows side by side, the source left: what differs is shown, what is the same is folded. */
export function FieldRows({ found, fields, ends, building }: RowsProps) {
  const differing = fields.filter(({ differs }) => differs)
  const { sides, values_shown: shown } = found
  const [only] = (['source', 'target'] as const).filter((side) => sides[side] === 'kept')
  const isWhole = sides.source === 'kept' && sides.target === 'kept'
  // Of a row that one side alone has, and of which nothing else is known, all of it is to be looked at.
  const unfolded = differing.length > 0 || isWhole ? differing : fields.filter(({ isKey }) => !isKey)
  const folded = fields.filter((field) => !unfolded.includes(field))
  const may = building !== null && shown && found.note === null
  return (
    <div>
      <div className={classes['heads']}>
        <span />
        <End
          side="source"
          name={ends.source?.name}
          environment={ends.source?.effective_environment}
          state={sides.source}
        />
        <End
          side="target"
          name={ends.target?.name}
          environment={ends.target?.effective_environment}
          state={sides.target}
        />
      </div>
      {found.note !== null && <Text size="sm">{found.note}</Text>}
      {!shown && (
        <Text size="sm" className="quiet" my="xs">
          Values of rows are shown to operators and admins; a viewer sees the names of the columns.
        </Text>
      )}
      <div className="lines">
        {unfolded.map((field) => (
          <FieldRow
            key={field.name}
            field={field}
            shown={shown}
            choose={may && !field.isKey ? (choice) => building.change({ [field.name]: choice }) : null}
            choice={building?.choices[field.name]}
            merges={isWhole && !field.inConflict}
          />
        ))}
      </div>
      {may && unfolded.length > 0 && only !== undefined && <BuiltRow building={building} whole={isWhole} />}
      {folded.length > 0 && shown && <Folded fields={folded} side={only ?? 'target'} whole={isWhole} />}
    </div>
  )
}

interface EndProps {
  readonly side: 'source' | 'target'
  readonly name: string | undefined
  readonly environment: string | undefined
  readonly state: Conflict['sides']['source']
}

const STATES = { kept: '', none: 'has no such row', not_kept: 'its row is too large to be shown', unknown: '' } as const

function End({ side, name, environment, state }: EndProps) {
  return (
    <div className={classes['end']}>
      <span className={classes['endWord']}>{side === 'source' ? 'Source' : 'Target'}</span>
      {name !== undefined && <span className="mono">{name}</span>}
      {environment !== undefined && <Environment name={environment} />}
      {STATES[state] !== '' && <Mark tone="person">{STATES[state]}</Mark>}
    </div>
  )
}

interface FieldProps {
  readonly field: Field
  readonly shown: boolean
  readonly choose: ((choice: FieldChoice) => void) | null
  readonly choice: FieldChoice | undefined
  /** The field merges by itself. */
  readonly merges: boolean
}

const CHANGED = { source: 'source changed', target: 'target changed', both: 'both changed', unknown: '' } as const

function FieldRow({ field, shown, choose, choice, merges }: FieldProps) {
  const { name, type, source, target, base, merged, built, changedBy } = field
  const word = changedBy === null ? '' : CHANGED[changedBy]
  const other = merged !== undefined && merged !== source && merged !== target
  const pick = (from: 'source' | 'target' | 'base' | 'merged') => choose && (() => choose({ from }))
  const isChosen = (from: FieldChoice['from']): boolean => choice?.from === from
  // What a side changed is seen against what both agreed on; without that, against the other side.
  const against = (side: Cell | undefined, opposite: Cell | undefined) => (
    <Against text={side} other={base === undefined ? opposite : base} />
  )
  const tag = (side: Cell | undefined) => (merges && merged !== undefined && merged === side ? 'merges' : null)
  return (
    <div className={classes['field']} role={choose === null ? undefined : 'radiogroup'} aria-label={name}>
      <div className={classes['fieldName']}>
        <span className="mono">{name}</span>
        <span className={`quiet ${classes['type']}`}>{type}</span>
        {word !== '' && <span className={`quiet ${classes['type']}`}>{word}</span>}
      </div>
      {shown && base !== undefined && (
        <Pick wide group={name} word="before" chosen={isChosen('base')} pick={pick('base')}>
          <Value text={base} />
        </Pick>
      )}
      {shown && (
        <>
          <Pick
            group={name}
            word="source"
            tag={tag(source)}
            chosen={isChosen('source')}
            pick={source === undefined ? null : pick('source')}
          >
            {against(source, target)}
          </Pick>
          <Pick
            group={name}
            word="target"
            tag={tag(target)}
            chosen={isChosen('target')}
            pick={target === undefined ? null : pick('target')}
          >
            {against(target, source)}
          </Pick>
        </>
      )}
      {shown && other && (
        <Pick wide group={name} word="merged" chosen={isChosen('merged')} pick={pick('merged')}>
          <Value text={merged} />
        </Pick>
      )}
      {shown && built !== undefined && built !== source && built !== target && (
        <Pick wide group={name} word="decided" chosen={false} pick={null}>
          <Value text={built} />
        </Pick>
      )}
      {choose !== null && <OwnValue field={field} choice={choice} choose={choose} />}
    </div>
  )
}

interface PickProps {
  readonly word: string
  /** Of the values of one field, one is chosen. */
  readonly group: string
  readonly wide?: boolean
  readonly tag?: string | null
  readonly chosen: boolean
  /** Null where it cannot be chosen. */
  readonly pick: (() => void) | null
  readonly children: ReactNode
}

/** A value that can be chosen for a field. */
function Pick({ word, group, wide = false, tag = null, chosen, pick, children }: PickProps) {
  const content = (
    <>
      <span className={wide ? `quiet ${classes['pickWord']}` : 'sr-only'}>{word}</span>
      <span className={classes['pickValue']}>{children}</span>
      {tag !== null && <span className={`quiet ${classes['pickWord']}`}>{tag}</span>}
    </>
  )
  if (pick === null) {
    return (
      <div className={classes['pick']} data-wide={wide || undefined}>
        {content}
      </div>
    )
  }
  return (
    <label className={classes['pick']} data-wide={wide || undefined} data-chosen={chosen}>
      <input type="radio" name={group} className="sr-only" checked={chosen} onChange={pick} />
      {content}
    </label>
  )
}

interface OwnProps {
  readonly field: Field
  readonly choice: FieldChoice | undefined
  readonly choose: (choice: FieldChoice) => void
}

function OwnValue({ field, choice, choose }: OwnProps) {
  if (choice?.from !== 'own') {
    const start = field.target ?? field.source ?? ''
    return (
      <div className={classes['own']}>
        <Button size="compact-xs" variant="subtle" color="gray" onClick={() => choose({ from: 'own', value: start })}>
          Another value
        </Button>
      </div>
    )
  }
  const { value } = choice
  return (
    <Group className={classes['own']} gap="xs" align="flex-start" wrap="nowrap">
      <Textarea
        autosize
        autoFocus
        minRows={1}
        maxRows={8}
        flex={1}
        size="xs"
        aria-label={`Another value of ${field.name}`}
        classNames={{ input: 'mono' }}
        disabled={value === null}
        value={value ?? ''}
        onChange={(event) => choose({ from: 'own', value: event.currentTarget.value })}
      />
      {field.nullable && (
        <Checkbox
          size="xs"
          mt={6}
          label="NULL"
          checked={value === null}
          onChange={(event) => choose({ from: 'own', value: event.currentTarget.checked ? null : '' })}
        />
      )}
    </Group>
  )
}

/** What the choices come to so far, and the decision that they make. */
function BuiltRow({ building, whole }: { readonly building: Building; readonly whole: boolean }) {
  const { begun, reset, missing, built, take } = building
  if (!begun) {
    return (
      <Text size="xs" className="quiet" my="xs">
        {whole
          ? 'To build a row of your own, choose values field by field.'
          : 'To keep the row with other values, give these.'}
      </Text>
    )
  }
  return (
    <Group gap="xs" my="xs">
      {built === null ? (
        <Text size="sm">Still to be chosen: {missing.join(', ')}.</Text>
      ) : (
        <Button onClick={() => take(built)}>Take this row</Button>
      )}
      <Button variant="subtle" color="gray" onClick={reset}>
        Choose anew
      </Button>
    </Group>
  )
}

interface FoldedProps {
  readonly fields: readonly Field[]
  readonly side: 'source' | 'target'
  /** Both sides have a row: these fields are the same in both. */
  readonly whole: boolean
}

function Folded({ fields, side, whole }: FoldedProps) {
  const [open, setOpen] = useState(false)
  const Shape = open ? IconChevronDown : IconChevronRight
  const words = whole
    ? `${plural(fields.length, 'field')} the same on both sides`
    : `${plural(fields.length, 'field')} unchanged`
  return (
    <div>
      <Button
        size="compact-xs"
        variant="subtle"
        color="gray"
        aria-expanded={open}
        leftSection={<Shape size={14} aria-hidden />}
        onClick={() => setOpen(!open)}
      >
        {words}
      </Button>
      {open && (
        <div className="lines">
          {fields.map((field) => (
            <div key={field.name} className={classes['field']}>
              <div className={classes['fieldName']}>
                <span className="mono">{field.name}</span>
                <span className={`quiet ${classes['type']}`}>{field.type}</span>
              </div>
              <div className={classes['pick']} data-wide>
                <Value text={field[side]} />
              </div>
            </div>
          ))}
        </div>
      )}
    </div>
  )
}
