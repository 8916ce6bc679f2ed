import type { ChangeSetTable, SetChange } from '#model/change-set.ts'
import type { ColumnType } from '#model/column-type.ts'
import type { TableRef } from '#model/table.ts'
import type { Row, Value } from '#model/value.ts'

/** What a script has to know of a table. */
export type ScriptTable = Pick<ChangeSetTable, 'target' | 'key' | 'columns'>

/**
 * Changes as statements in the dialect of the target, by which somebody can make them by hand: one transaction, of which
 * each statement changes its row as it was decided on, or none.
 */
export interface ChangeScript {
  /** @param notes come first, as comments */
  begin(notes: readonly string[]): string
  /** What cannot be written as a statement is said in a comment. */
  statement(table: ScriptTable, change: SetChange): string
  comment(text: string): string
  end(): string
}

export type ScriptColumn = ScriptTable['columns'][number]

/** The words of a server for it. Every name and every value is quoted: nothing that a database holds is a statement. */
export interface ScriptDialect {
  /** Begins the transaction, where the texts of values mean what the canonical form means by them. */
  readonly begin: readonly string[]
  /** Stands before VALUES: a column that is always an identity takes the value that it is given. */
  readonly overriding: string
  quote(name: string): string
  quoteTable(table: TableRef): string
  /** A value of a column; the texts of values are those of the canonical form. */
  constant(type: ColumnType, value: Value): string
  /** Whether a column of the key has a value; an index must find it. */
  isKey(column: ScriptColumn, value: Value): string
  /** Whether a column has a value still, to the byte. */
  isStill(column: ScriptColumn, value: Value): string
}

const TEXT: ColumnType = { kind: 'text', maxLength: null }

/** Updates and deletes name the whole row as it was decided on, and leave any other as it is (invariant 9). */
export function changeScriptIn(dialect: ScriptDialect): ChangeScript {
  const { quote, quoteTable, constant } = dialect
  return {
    begin: (notes) => [...notes.map(comment), ...dialect.begin, ''].join('\n'),
    statement: (table, change) => `${statementOf(table, change)}\n`,
    comment: (text) => `${comment(text)}\n`,
    end: () => 'COMMIT;\n',
  }

  function statementOf(table: ScriptTable, { op, seq, key, before, after }: SetChange): string {
    switch (op) {
      case 'insert':
        return after === null ? tooLarge(seq) : insert(table, after)
      case 'update':
        return before === null || after === null ? tooLarge(seq) : update(table, { seq, key, before, after })
      case 'delete':
        return before === null
          ? tooLarge(seq)
          : `DELETE FROM ${quoteTable(table.target)} WHERE ${whole(table, key, before)};`
      default:
        throw new Error(`unknown operation ${String(op satisfies never)}`)
    }
  }

  function insert({ target, columns }: ScriptTable, after: Row): string {
    const written = columns.flatMap(({ name, computed, type }, i) =>
      computed ? [] : [{ name: quote(name), value: constant(type, after[i] ?? null) }],
    )
    const names = written.map(({ name }) => name).join(', ')
    const values = written.map(({ value }) => value).join(', ')
    return `INSERT INTO ${quoteTable(target)} (${names}) ${dialect.overriding}VALUES (${values});`
  }

  function update(
    table: ScriptTable,
    { seq, key, before, after }: { seq: number; key: Row; before: Row; after: Row },
  ): string {
    const changed = table.columns.flatMap(({ name, computed, type }, i) => {
      const [was, is] = [before[i] ?? null, after[i] ?? null]
      return computed || sameValue(was, is) ? [] : [`${quote(name)} = ${constant(type, is)}`]
    })
    if (changed.length === 0) return comment(`change ${seq}: nothing that can be written is different`)
    return `UPDATE ${quoteTable(table.target)} SET ${changed.join(', ')} WHERE ${whole(table, key, before)};`
  }

  /** The row under a key, as it was. The key comes first, as an index wants it. */
  function whole({ key: names, columns }: ScriptTable, key: Row, before: Row): string {
    const byKey = names.map((name, i) => {
      const column = columns.find((each) => each.name === name)
      const value = key[i] ?? null
      return column === undefined ? `${quote(name)} = ${constant(TEXT, value)}` : dialect.isKey(column, value)
    })
    const others = columns.flatMap((column, i) =>
      names.includes(column.name) ? [] : [dialect.isStill(column, before[i] ?? null)],
    )
    return [...byKey, ...others].join(' AND ')
  }
}

/** On one line, whatever the text holds. */
function comment(text: string): string {
  return `-- ${JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(/[\u007F-\u009F\u2028\u2029]/g, ' ')}`
}

function tooLarge(seq: number): string {
  return comment(`change ${seq}: the row is too large to be kept, and no part of this script`)
}

function sameValue(a: Value, b: Value): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0
  return a === b
}
