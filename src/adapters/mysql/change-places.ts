import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { tableName, type Column, type UniqueKey } from '#model/table.ts'
import { isReferenced } from './cascades.ts'
import { assignments, stagedValue, type Staged } from './staged.ts'
import { quote, quoteTable } from './sql.ts'
import { dropPlaces } from './stage.ts'

/**
 * Updates of staged rows that take one another's unique values (hazard D4). The server looks at uniqueness row by row, so
 * that no plain UPDATE can swap two values: the rows first take values that nobody has, or go and come back.
 */
export async function changePlaces(staged: Staged): Promise<void> {
  const { connection, stage, sql, plan, table } = staged
  const places: (string | null)[] = []
  for (const key of otherKeys(staged)) places.push(await parkingPlace(key, staged))
  if (places.includes(null) && (await mayReplace(staged))) return await replace(staged)
  const parked = [...new Set(places.filter((place) => place !== null))]
  const joined = `${stage} s STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('s.c')}`
  if (parked.length > 0) await connection.execute(`UPDATE ${joined} SET ${parked.join(', ')} WHERE s.op = 'u'`)
  const sets = assignments(plan, table)
  if (sets.length > 0) await connection.execute(`UPDATE ${joined} SET ${sets.join(', ')} WHERE s.op = 'u'`)
}

/**
 * Takes out of the stage what a row outside of it stands in the way of, by the unique keys over plain columns; again,
 * until nothing is, because what stays where it is may be in the way of others. Returns the places in the stage.
 */
export async function findBlocked(staged: Staged, moved: ReadonlySet<number>): Promise<Set<number>> {
  const { connection, sql, rows, stage, plan, table } = staged
  const blocked = new Set<number>()
  const going = new Set([...rows.entries()].flatMap(([seq, { key }]) => (moved.has(seq) ? [] : [JSON.stringify(key)])))
  const statements = otherKeys(staged).flatMap((key) => {
    const places = key.columns.map((name) => plan.scan.columns.findIndex((column) => column.name === name))
    if (places.includes(-1)) return []
    const same = places.map((i) => `t.${quote(plan.scan.columns[i]?.name ?? '')} = ${stagedValue(table, plan.scan, i)}`)
    return [
      `SELECT CAST(s.seq AS CHAR), ${sql.keyExpressions.join(', ')}
       FROM ${stage} s STRAIGHT_JOIN ${quoteTable(plan.scan.table)} t ON ${same.join(' AND ')} WHERE s.op <> 'd'`,
    ]
  })
  for (let found = true; found;) {
    found = false
    for (const statement of statements) {
      const places = (await connection.query(statement)).flatMap(([seq, ...key]) =>
        going.has(JSON.stringify(key)) ? [] : [Number(seq)],
      )
      for (const seq of places) {
        blocked.add(seq)
        going.delete(JSON.stringify(rows[seq]?.key))
        found = true
      }
      await dropPlaces(connection, stage, places)
    }
  }
  return blocked
}

/** Unique keys beside the one that rows are found by. */
function otherKeys({ plan: { scan }, table: { schema } }: Staged): UniqueKey[] {
  const mapped = new Set(scan.columns.slice(0, scan.keyLength).map((column) => column.name))
  const isMapped = (key: UniqueKey): boolean =>
    key.columns.length === mapped.size && key.columns.every((name) => mapped.has(name))
  return [schema.primaryKey, ...schema.uniqueKeys].filter((key) => key !== null).filter((key) => !isMapped(key))
}

/** Whether a row may go and come back: no trigger sees it, and no foreign key acts on it. */
async function mayReplace({ connection, table }: Staged): Promise<boolean> {
  return table.schema.triggers.length === 0 && !(await isReferenced(connection, table))
}

/** Deletes the rows and inserts them anew. Columns that are not carried keep what the target had in them. */
async function replace(staged: Staged): Promise<void> {
  const { connection, stage, sql, plan, table } = staged
  const { scan, written } = plan
  const columns = table.schema.columns.filter((column) => column.generated === null)
  const own = quoteTable({ schema: connection.endpoint.database, name: 'syncline_places' })
  const joined = `${stage} s STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('s.c')} WHERE s.op = 'u'`
  const values = columns.map(({ name }) => {
    const place = scan.columns.findIndex((column) => column.name === name)
    return place >= 0 && written.includes(name) ? stagedValue(table, scan, place) : `d.${quote(name)}`
  })
  // Days of zeros that the target has by itself, and as defaults, come back as they were.
  const takes = plan.keepsZeroDates || !(await bringsZeroDates(staged))
  await connection.takeZeroDates(true)
  await connection.execute(`DROP TEMPORARY TABLE IF EXISTS ${own}`)
  await connection.execute(
    `CREATE TEMPORARY TABLE ${own} (\`syncline seq\` INT NOT NULL PRIMARY KEY) ENGINE = InnoDB
     SELECT s.seq AS \`syncline seq\`, ${columns.map(({ name }) => `t.${quote(name)}`).join(', ')} FROM ${joined}`,
  )
  await connection.takeZeroDates(takes)
  const left = await connection.execute(`DELETE t FROM ${joined}`)
  const back = await connection.execute(
    `INSERT INTO ${quoteTable(scan.table)} (${columns.map(({ name }) => quote(name)).join(', ')})
     SELECT ${values.join(', ')} FROM ${own} d JOIN ${stage} s ON s.seq = d.\`syncline seq\``,
  )
  await connection.execute(`DROP TEMPORARY TABLE ${own}`)
  await connection.takeZeroDates(plan.keepsZeroDates)
  if (left !== back)
    throw new AppError('internal', `${tableName(scan.table)}: ${left} rows left and ${back} came back.`)
}

/** Whether a staged row has a day of which a part is zero, for a column that is written. */
async function bringsZeroDates({ connection, stage, plan: { scan, written }, table }: Staged): Promise<boolean> {
  const days = scan.columns.flatMap(({ name }, i) => {
    const kind = table.schema.columns.find((column) => column.name === name)?.type.kind
    const isDay = kind === 'date' || kind === 'timestamp'
    return isDay && written.includes(name) ? [`LEFT(s.c${i}, 10) LIKE '%-00%'`] : []
  })
  if (days.length === 0) return false
  const rows = await connection.query(`SELECT 1 FROM ${stage} s WHERE s.op = 'u' AND (${days.join(' OR ')}) LIMIT 1`)
  return rows.length > 0
}

/** A SET clause for one column of a unique key, after which the key is in nobody's way; null where no type allows it. */
async function parkingPlace(key: UniqueKey, staged: Staged): Promise<string | null> {
  const { scan, written } = staged.plan
  const mapped = scan.columns.slice(0, scan.keyLength).map((column) => column.name)
  for (const name of key.columns) {
    const column = staged.table.schema.columns.find((each) => each.name === name)
    if (column === undefined || mapped.includes(name) || !written.includes(name)) continue
    const value = await freeValue(column, staged)
    if (value !== null) return `t.${quote(name)} = ${value}`
  }
  return null
}

/** No two rows get the same one, and hardly anybody has it already: then the server says so, and nothing is lost. */
async function freeValue({ name, type, nullable, nativeType }: Column, staged: Staged): Promise<string | null> {
  if (nullable) return 'NULL'
  switch (type.kind) {
    case 'integer':
    case 'decimal': {
      // A statement that changes a table may not ask it for its smallest value.
      const end = /\bunsigned\b/i.test(nativeType) ? 'MAX' : 'MIN'
      const [row] = await staged.connection.query(
        `SELECT CAST(COALESCE(${end}(t.${quote(name)}), 0) AS CHAR) FROM ${quoteTable(staged.plan.scan.table)} t`,
      )
      const edge = must(row?.[0], 'the end of a column')
      return end === 'MAX' ? `${edge} + 1 + s.seq` : `${edge} - 1 - s.seq`
    }
    case 'uuid':
      return 'UUID()'
    case 'text':
      return type.maxLength === null || type.maxLength >= 36 ? 'UUID()' : null
    default:
      return null
  }
}
