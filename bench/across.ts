/** The wide table as both engines have it. */
import type { Connection } from '#adapters/mysql/connection.ts'
import type { BisectColumn } from './bisect-sides.ts'
import { connect } from './servers.ts'

/** As much of it as both engines and every contestant can carry: 16 columns of job 3's table, its tags left out. */
export const MARIADB_TABLE = `CREATE TABLE wide (
  id BIGINT NOT NULL PRIMARY KEY, ref VARCHAR(36) NOT NULL, kind SMALLINT NOT NULL, quantity INT, total DECIMAL(14,2), ratio DOUBLE,
  active TINYINT(1) NOT NULL, seen_at TIMESTAMP(6) NOT NULL, made_at DATETIME(6), due DATE, code VARCHAR(40) NOT NULL,
  name LONGTEXT NOT NULL, note LONGTEXT, body LONGTEXT NOT NULL, attributes LONGTEXT NOT NULL, digest LONGBLOB
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`

export const POSTGRES_TABLE = `CREATE TABLE wide (
  id int8 NOT NULL PRIMARY KEY, ref varchar(36) NOT NULL, kind int2 NOT NULL, quantity int4, total numeric(14,2), ratio float8,
  active bool NOT NULL, seen_at timestamptz NOT NULL, made_at timestamp, due date, code varchar(40) NOT NULL,
  name text NOT NULL, note text, body text NOT NULL, attributes text NOT NULL, digest bytea)`

/** Rows of the table by MariaDB itself: the same on every machine. */
export const mariadbRows = (rows: number): string => `INSERT INTO wide
  SELECT seq, CONCAT_WS('-', LEFT(m, 8), MID(m, 9, 4), MID(m, 13, 4), MID(m, 17, 4), RIGHT(m, 12)), seq % 7,
    IF(seq % 11 > 0, h & 1048575, NULL), (h & 1073741823) / 100, CAST((h & 65535) AS DOUBLE) / 7, seq % 3 = 0,
    TIMESTAMP '2020-01-01 00:00:00' + INTERVAL (h & 134217727) SECOND + INTERVAL (seq % 1000) * 1000 MICROSECOND,
    IF(seq % 13 > 0, TIMESTAMP '2021-05-01 00:00:00' + INTERVAL (h & 67108863) SECOND, NULL),
    DATE '2022-01-01' + INTERVAL (h & 1023) DAY, LEFT(m, 12), CONCAT('Name ', LEFT(m, 8), ' Ünïcode ', seq),
    IF(seq % 5 > 0, CONCAT('line one of ', seq, '\\nline "two"\\t', RIGHT(m, 16)), NULL), REPEAT(CONCAT(m, ' '), 6 + seq % 3),
    CONCAT('{"n": ', seq, ', "k": "', LEFT(m, 10), '", "nested": [', seq % 10, ', "', m, '"]}'), UNHEX(m)
  FROM (SELECT seq, MD5(seq) AS m, CONV(LEFT(MD5(CONCAT('h', seq)), 8), 16, 10) + 0 AS h FROM seq_1_to_${rows}) s`

/** The same text of a row in both engines, as a peer of neither would write it: what the outcome is judged by. */
const MARIADB_TEXT = `CONCAT_WS('|', id, ref, kind, IFNULL(quantity, '-'), total, active, DATE_FORMAT(seen_at, '%Y-%m-%d %H:%i:%s.%f'),
  IFNULL(DATE_FORMAT(made_at, '%Y-%m-%d %H:%i:%s.%f'), '-'), due, code, name, IFNULL(note, '-'), body, attributes, LOWER(HEX(digest)))`
const POSTGRES_TEXT = `concat_ws('|', id, ref, kind, coalesce(quantity::text, '-'), total, active::int, to_char(seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
  coalesce(to_char(made_at, 'YYYY-MM-DD HH24:MI:SS.US'), '-'), due, code, name, coalesce(note, '-'), body, attributes, encode(digest, 'hex'))`
/** Doubles differ in their texts alone: their sum by decimal digits tells them apart. */
const RATIOS = 'round(sum(cast(ratio as decimal(30, 8))), 6)'

/** How bisection makes the columns the same text on both. */
export const COLUMNS: readonly BisectColumn[] = [
  ...['id', 'ref', 'kind', 'quantity', 'total'].map((name) => ({ name, kind: 'plain' as const })),
  { name: 'ratio', kind: 'float' },
  { name: 'active', kind: 'boolean' },
  { name: 'seen_at', kind: 'moment' },
  { name: 'made_at', kind: 'time' },
  ...['due', 'code', 'name', 'note', 'body', 'attributes'].map((name) => ({ name, kind: 'plain' as const })),
  { name: 'digest', kind: 'bytes' },
]

/** What the contents of the table come to: the same on both engines. */
export async function mariadbSum(connection: Connection): Promise<string> {
  const [row] = await connection.query(
    `SELECT count(*), sum(CONV(LEFT(MD5(${MARIADB_TEXT}), 8), 16, 10)), ${RATIOS} FROM wide`,
  )
  return (row ?? []).map((cell) => String(Number(cell))).join(' ')
}

export async function postgresSum(url: string): Promise<string> {
  await using client = await connect(url)
  await client.query(`SET timezone = 'UTC'`)
  const { rows } = await client.query<string[]>({
    text: `SELECT count(*), sum(('x' || left(md5(${POSTGRES_TEXT}), 8))::bit(32)::int8 & 4294967295), ${RATIOS} FROM wide`,
    rowMode: 'array',
  })
  return (rows[0] ?? []).map((cell) => String(Number(cell))).join(' ')
}

/** @throws Error if two sums of the table differ */
export function assertSame(expected: string, found: string): void {
  if (expected !== found) throw new Error(`The contents differ: ${expected} against ${found}`)
}
