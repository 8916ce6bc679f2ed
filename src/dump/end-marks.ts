/** Whether a dump is whole, by what its writer put at its end (hazards A15, D14). */
import { createHash } from 'node:crypto'
import {
  DUMP_FORMAT,
  formatOf,
  LAST_LINE,
  parseHead,
  parseRows,
  parseSeal,
  parseBringsBack,
  parseTakeBack,
  SEAL_BYTES,
  TRAILER_LINE,
  type DumpHead,
  type RestoreObject,
  type TakeBack,
} from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import { formatTableName } from '#model/table-pattern.ts'
import type { TableRef } from '#model/table.ts'
import type { DumpItem } from './dump-item.ts'

/** One of its first lines says what it is; a failure may come before that line is taken. */
const BEGINNING = /^-- (?:Syncline dump \d+|PostgreSQL database (?:cluster )?dump)\r?$/m
const BEGINNING_BYTES = 4_096
const OF_MYSQL = /^(?:-- (?:MySQL|MariaDB) dump |\/\*M!)/m

const PG_FIRST = /^-- PostgreSQL database dump$/
const PG_CLUSTER = /^-- PostgreSQL database cluster dump$/
const PG_LAST = '-- PostgreSQL database dump complete'
const PG_VERSION = /^-- Dumped from database version (\d+)/
const RESTRICT = /^\\(un)?restrict ([A-Za-z0-9]+)\s*$/

export interface Origin {
  readonly writer: 'syncline' | 'pg_dump'
  /** What a dump of ours says of itself. */
  readonly head: DumpHead | null
  /** The major version of the server that it is of, where it says so. */
  readonly serverMajor: number | null
  /** Of a dump that was kept before a restore: what that made besides. */
  readonly takeBack: TakeBack | null
}

export class EndMarks {
  readonly #name: string
  readonly #hash = createHash('sha256')
  #tail: Buffer = Buffer.alloc(0)
  #beginning: Buffer = Buffer.alloc(0)
  #writer: Origin['writer'] | null = null
  #head: DumpHead | null = null
  #serverMajor: number | null = null
  #lines = 0
  #ended = false
  #inTrailer = false
  #restricted: string | null = null
  readonly #rows = new Map<string, number>()
  readonly #made: RestoreObject[] = []
  #madeIn: string | null = null

  constructor(name: string) {
    this.#name = name
  }

  /** The digest is of everything but the last two lines. */
  tap(bytes: Buffer): void {
    if (this.#beginning.length < BEGINNING_BYTES) this.#beginning = Buffer.concat([this.#beginning, bytes])
    const all = Buffer.concat([this.#tail, bytes])
    const hashed = Math.max(0, all.length - SEAL_BYTES)
    this.#hash.update(all.subarray(0, hashed))
    this.#tail = all.subarray(hashed)
  }

  take(item: DumpItem): void {
    if (item.kind === 'comment') return this.#comment(item.text)
    if (item.kind === 'command') return this.#command(item.text)
    if (this.#ended || this.#inTrailer) throw this.#damaged('something stands behind its end mark')
  }

  #comment(text: string): void {
    this.#lines += 1
    const format = this.#lines === 1 ? formatOf(text) : null
    if (format !== null) this.#ours(format)
    else if (this.#writer === 'syncline') this.#ourComment(text)
    else if (PG_CLUSTER.test(text))
      throw new AppError('dump_refused', `${this.#name} is of pg_dumpall: a whole server.`)
    else if (PG_FIRST.test(text)) this.#writer ??= 'pg_dump'
    else if (text === PG_LAST) this.#ended = true
    else this.#serverMajor ??= versionOf(text)
  }

  #ours(format: number): void {
    this.#writer = 'syncline'
    if (format > DUMP_FORMAT) {
      throw new AppError('dump_unfit', `${this.#name} has format ${format}; this program reads up to ${DUMP_FORMAT}.`, {
        hint: 'Import it with the version of the program that wrote it, or a newer one.',
      })
    }
  }

  #ourComment(text: string): void {
    if (this.#lines === 2) {
      this.#head = parseHead(text)
      this.#serverMajor = this.#head?.serverMajor ?? null
    } else if (text === TRAILER_LINE) this.#inTrailer = true
    else if (text === LAST_LINE) this.#ended = true
    else if (this.#inTrailer) this.#told(text)
  }

  #told(text: string): void {
    const back = parseTakeBack(text)
    if (back !== null) {
      const { database, ...made } = back
      this.#madeIn ??= database
      if (database === this.#madeIn) this.#made.push(made)
      return
    }
    this.#madeIn ??= parseBringsBack(text)
    const told = parseRows(text)
    if (told === null) return
    const name = formatTableName(told)
    this.#rows.set(name, (this.#rows.get(name) ?? 0) + told.rows)
  }

  #command(text: string): void {
    const [, un, token] = RESTRICT.exec(text) ?? []
    if (token === undefined) return
    if (un === undefined && this.#restricted === null) this.#restricted = token
    // Also before a \connect, which --create writes.
    else if (un !== undefined && this.#restricted === token) this.#restricted = null
    else throw this.#damaged('its \\restrict and \\unrestrict do not fit')
  }

  /** What is wrong with a text that does not begin as a dump does: it is none. */
  judge(error: unknown): unknown {
    const isDump = this.#writer !== null || BEGINNING.test(this.#beginning.toString('utf8', 0, BEGINNING_BYTES))
    return isDump ? error : this.#noDump(error)
  }

  #noDump(cause?: unknown): AppError {
    if (OF_MYSQL.test(this.#beginning.toString('utf8', 0, BEGINNING_BYTES))) {
      return new AppError(
        'not_a_dump',
        `${this.#name} is a dump of MySQL or MariaDB; an import is one of PostgreSQL.`,
        {
          hint: 'Load it into a MySQL or MariaDB server, add that as a datasource, and sync from there.',
          cause,
        },
      )
    }
    const message = `${this.#name} does not begin as a dump of syncline or of pg_dump does.`
    return new AppError('not_a_dump', message, { cause })
  }

  /**
   * @param loaded how many rows the file was seen to bring into each table
   * @throws AppError `not_a_dump`, `dump_damaged`
   */
  end(loaded: Iterable<readonly [TableRef, number]>): Origin {
    if (this.#writer === null) throw this.#noDump()
    if (!this.#ended) throw this.#damaged('its end mark is missing')
    if (this.#restricted !== null) throw this.#damaged('its \\unrestrict is missing')
    if (this.#writer === 'syncline') this.#holdSeal(loaded)
    const takeBack = this.#madeIn === null ? null : { database: this.#madeIn, made: this.#made }
    return { writer: this.#writer, head: this.#head, serverMajor: this.#serverMajor, takeBack }
  }

  #holdSeal(loaded: Iterable<readonly [TableRef, number]>): void {
    const told = parseSeal(this.#tail.toString('utf8'))
    if (told === null || this.#head === null) throw this.#damaged('its first or its last lines are missing')
    if (told !== this.#hash.digest('hex')) throw this.#damaged('its digest is another one')
    const rows = new Map(this.#rows)
    for (const [table, count] of loaded) {
      const name = formatTableName(table)
      if ((rows.get(name) ?? 0) !== count) {
        throw this.#damaged(`it has ${count} rows of ${name}, and says that it has ${rows.get(name) ?? 0}`)
      }
      rows.delete(name)
    }
    const [missing] = [...rows].find(([, count]) => count > 0) ?? []
    if (missing !== undefined) throw this.#damaged(`the rows of ${missing} are missing`)
  }

  #damaged(why: string): AppError {
    return new AppError('dump_damaged', `${this.#name} is cut or altered: ${why}.`)
  }
}

function versionOf(text: string): number | null {
  const major = PG_VERSION.exec(text)?.[1]
  return major === undefined ? null : Number(major)
}
