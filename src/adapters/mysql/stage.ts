import { assert } from '#lib/assert.ts'
import { copyPieces } from '#model/row-text.ts'
import type { SentRow } from '#model/value.ts'
import { writeLines } from './bulk.ts'
import type { Connection } from './connection.ts'
import { quoteTable } from './sql.ts'

/**
 * Rows on their way into a table: a temporary table that holds them as texts in their forms. Its values become those of the
 * target's types where they are written, so that one stage serves every table, and the server says of the column itself
 * what it refuses.
 */
interface Kept {
  readonly columns: number
  readonly own: string
}

/** What the session keeps, by the name of the stage. */
const kept = new WeakMap<Connection, Map<string, Kept>>()

/** Lines are sent together: a message for each would cost more than the line. */
const SEND_CHARACTERS = 64 * 1024

/** A row of InnoDB has a place of 20 bytes for each text, within 8,126 bytes. */
const INNODB_COLUMNS = 300

const TEXT = 'LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL'

/** A temporary table for rows of texts `c0`, `c1`, … behind columns of its own. */
export class Stage {
  readonly #name: string
  readonly #own: readonly (readonly [name: string, type: string])[]

  constructor(name: string, own: readonly (readonly [name: string, type: string])[]) {
    this.#name = name
    this.#own = own
  }

  /** For FROM. */
  of(connection: Connection): string {
    return quoteTable({ schema: connection.endpoint.database, name: this.#name })
  }

  /**
   * Replaces what the stage holds by these lines: the own columns, then `columns` texts. A line whose values are large is
   * sent as it is read.
   */
  async fill(connection: Connection, columns: number, lines: Iterable<SentRow>): Promise<number> {
    await this.#furnish(connection, columns)
    const names = [...this.#own.map(([name]) => name), ...Array.from({ length: columns }, (_, i) => `c${i}`)]
    return await writeLines(connection, { table: this.of(connection), names }, { lines: piecesOf(lines) })
  }

  async #furnish(connection: Connection, columns: number): Promise<void> {
    const own = JSON.stringify(this.#own)
    const stages = kept.get(connection) ?? new Map<string, Kept>()
    kept.set(connection, stages)
    const has = stages.get(this.#name)
    if (has !== undefined && has.own === own && has.columns >= columns) {
      await connection.execute(`DELETE FROM ${this.of(connection)}`)
      return
    }
    stages.delete(this.#name)
    await connection.execute(`DROP TEMPORARY TABLE IF EXISTS ${this.of(connection)}`)
    const definitions = [
      ...this.#own.map(([name, type]) => `${name} ${type}`),
      ...Array.from({ length: columns }, (_, i) => `c${i} ${TEXT}`),
    ]
    const engine = columns > INNODB_COLUMNS ? 'MyISAM' : 'InnoDB'
    await connection.execute(
      `CREATE TEMPORARY TABLE ${this.of(connection)} (${definitions.join(', ')}) ENGINE = ${engine}`,
    )
    stages.set(this.#name, { columns, own })
  }
}

async function* piecesOf(lines: Iterable<SentRow>): AsyncGenerator<string | Uint8Array> {
  let text = ''
  for (const line of lines) {
    for (const piece of copyPieces(line)) {
      if (typeof piece === 'string') {
        text += piece
        if (text.length < SEND_CHARACTERS) continue
      }
      if (text !== '') yield text
      text = ''
      if (typeof piece !== 'string') yield* piece.read()
    }
  }
  if (text !== '') yield text
}

/** The rows that a batch stages: each with its place, and what is to become of the target's row. */
export const BATCH_STAGE = new Stage('syncline_stage', [
  ['seq', 'INT NOT NULL PRIMARY KEY'],
  ['op', 'CHAR(1) CHARACTER SET ascii COLLATE ascii_bin NOT NULL'],
])

/** Takes these places out of a stage. */
export async function dropPlaces(connection: Connection, stage: string, places: Iterable<number>): Promise<void> {
  const all = [...places]
  for (let start = 0; start < all.length; start += PLACES) {
    const some = all.slice(start, start + PLACES).map((place) => {
      assert(Number.isSafeInteger(place), 'a place is a number of ours')
      return String(place)
    })
    await connection.execute(`DELETE FROM ${stage} WHERE seq IN (${some.join(', ')})`)
  }
}

const PLACES = 1_000
