import { Text } from '@mantine/core'
import type { Conflict } from '#features/conflicts/queries.ts'
import { keyText } from '#features/conflicts/words.ts'
import { Mark } from '#ui/mark.tsx'
import { Value } from '#ui/value.tsx'
import classes from './conflicts.module.css'

/** The other row that has a unique value of this one, and what becomes of it. */
export function HolderFacts({ holder }: { readonly holder: Conflict['holder'] }) {
  if (holder === null) return null
  const { side, key, index, columns, row, yields } = holder
  const other = side === 'target' ? 'source' : 'target'
  return (
    <section className={classes['facts']} aria-label="The row in the way">
      <Mark tone="person">{`In the way: the row ${keyText(key)} of the ${side}`}</Mark>
      <Text size="sm" component="div">
        <span className="mono">{index}</span> lets one row have its value of{' '}
        <span className="mono">{columns.join(', ')}</span>.{' '}
        {yields === null ? (
          `It cannot go without it, so that the row of the ${other} cannot be taken; build a row with another value.`
        ) : (
          <>
            Where the row of the {other} is taken, it loses <span className="mono">{yields}</span>.
          </>
        )}
      </Text>
      {row !== null && (
        <div className="lines">
          {row.map(({ column, value }) => (
            <div key={column} className={classes['field']}>
              <div className={classes['fieldName']}>
                <span className="mono">{column}</span>
              </div>
              <div className={classes['pick']} data-wide>
                <Value text={value} />
              </div>
            </div>
          ))}
        </div>
      )}
    </section>
  )
}
