/** Rows of MariaDB that are larger than memory and than the server's own packets (P10, invariant 6). */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { TEXT_ROWS } from '#adapters/adapter.ts'
import { fingerprint } from '#model/fingerprint.ts'
import { decodeCell } from '#model/row-text.ts'
import { isLarge, LARGE_ROW_BYTES } from '#model/value.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, MIRROR, wroteNothing } from '#test/harness/sync.ts'

const { source: first, target: second } = sharedServers()
const PACKET = 4 * 1024 * 1024
const LARGE = 64 * 1024 * 1024

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb({ settings: { 'max-allowed-packet': String(PACKET) } })
})

afterAll(() => server[Symbol.asyncDispose]())

/** A value of the server's own making that no packet of it could hold. */
async function withLargePackets(side: MysqlSide, statement: string): Promise<void> {
  await side.sql(`SET GLOBAL max_allowed_packet = ${8 * LARGE}`)
  await side.sql(statement)
  await side.sql(`SET GLOBAL max_allowed_packet = ${PACKET}`)
}

test('a value of 64 MB is hashed, and sent in pieces of which each is small', { timeout: 400_000 }, async () => {
  const side = await MysqlSide.make(server)
  await side.sql(
    'CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB, v LONGTEXT CHARACTER SET latin1, s VARCHAR(10))',
    `INSERT INTO t VALUES (2, X'00ff', 'kurz', 'x'), (3, NULL, NULL, NULL)`,
  )
  await withLargePackets(
    side,
    `INSERT INTO t VALUES (1, REPEAT(X'00ff5c0a', ${LARGE / 4}), REPEAT('ä\\\\\\n\\tß', ${LARGE / 20}), 'y')`,
  )
  const blob = `\\x${'00ff5c0a'.repeat(LARGE / 4)}`
  const text = 'ä\\\n\tß'.repeat(Math.floor(LARGE / 20))
  await side.moment(async (moment, adapter) => {
    const { scan } = await side.scan(adapter, 't')
    const expected = fingerprint(['1', blob, text, 'y'])
    const fingerprints = await moment.fingerprints(scan, [['1'], ['2'], ['3']])
    expect(fingerprints.find(({ key }) => key[0] === '1')?.fingerprint).toBe(expected)

    const digests = []
    for await (const slice of moment.digests(scan, { by: 'key range', start: 1n, width: 1n, count: 3 })) {
      digests.push(...slice)
    }
    const ofFirst = digests.filter(({ bucket }) => bucket === 0)
    expect(ofFirst.reduce((sum, { digest }) => sum + digest.count, 0)).toBe(1)
    expect(ofFirst.reduce((sum, { digest }) => sum ^ digest.xor, 0n)).toBe(BigInt(expected))
    expect(ofFirst.reduce((sum, { digest }) => sum + digest.sum, 0n)).toBe(BigInt(expected))

    const keys: string[] = []
    for await (const row of moment.keys(scan, { by: 'key range', start: 1n, width: 1n, count: 3 }, 'all')) {
      keys.push(row.fingerprint)
    }
    expect(keys[0]).toBe(expected)
    expect(await moment.proof(scan, [['1']])).toMatchObject({ rows: 1 })

    const [row = []] = await moment.largeRows(scan, [['1']])
    expect(row.map((cell) => cell !== null && isLarge(cell))).toEqual([false, true, true, false])
    for (const [place, value] of [blob, text].entries()) {
      const cell = row[place + 1]
      if (cell === null || cell === undefined || !isLarge(cell)) throw new Error('the cell is large')
      const pieces: Uint8Array[] = []
      for await (const piece of cell.read()) pieces.push(piece)
      expect(pieces.every((piece) => piece.length < 4 * LARGE_ROW_BYTES)).toBe(true)
      expect(decodeCell(Buffer.concat(pieces).toString('latin1')) === value).toBe(true)
    }

    let rows = 0
    let chunks = 0
    const hash = createHash('md5')
    for (const piece of await moment.pieces(scan, 1e12)) {
      await using out = await moment.copyOut(scan, piece, TEXT_ROWS)
      for await (const chunk of out.stream) {
        chunks = Math.max(chunks, Buffer.from(chunk).length)
        hash.update(chunk)
      }
      rows += out.rows()
    }
    expect(rows).toBe(3)
    expect(chunks).toBeLessThan(4 * LARGE_ROW_BYTES)
  })
})

test(
  'a large row goes into PostgreSQL and is proved equal, at first and after it changed',
  { timeout: 400_000 },
  async () => {
    const side = await MysqlSide.make(server)
    await using pair = await createPair(first, second)
    await side.sql('CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB)', `INSERT INTO t VALUES (2, X'01')`)
    await withLargePackets(side, `INSERT INTO t VALUES (1, REPEAT(X'00ff5c0a', ${LARGE / 8}))`)
    await pair.target.sql('CREATE TABLE t (id int PRIMARY KEY, b bytea)')
    const config = { ...MIRROR, maxOverwritePercent: 100, verifyAfter: 'full', tables: [side.mapping('t')] } as const
    expect(await pair.run(config, side.asSource)).toMatchObject({ counts: { inserted: 2 } })
    expect(wroteNothing(await pair.run(config, side.asSource))).toBe(true)
    await withLargePackets(side, `UPDATE t SET b = CONCAT(b, X'07') WHERE id = 1`)
    expect(await pair.run(config, side.asSource)).toMatchObject({ counts: { updated: 1, unchanged: 1 } })
    const [row] = await pair.target.sql('SELECT md5(b), octet_length(b) FROM t WHERE id = 1')
    const own = createHash('md5')
    own.update(Buffer.concat([Buffer.from('00ff5c0a'.repeat(LARGE / 8), 'hex'), Buffer.from([7])]))
    expect(row).toEqual([own.digest('hex'), String(LARGE / 2 + 1)])
  },
)

test('C14: a server whose functions give NULL for values that are read at once is refused', async () => {
  const side = await MysqlSide.make(server)
  await side.sql(`SET GLOBAL max_allowed_packet = ${LARGE_ROW_BYTES / 2}`)
  try {
    await expect(side.open()).rejects.toMatchObject({
      code: 'server_not_supported',
      hint: expect.stringContaining('max_allowed_packet') as unknown,
    })
  } finally {
    await side.sql(`SET GLOBAL max_allowed_packet = ${PACKET}`)
  }
})
