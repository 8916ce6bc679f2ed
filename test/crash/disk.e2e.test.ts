/**
 * Disks that are full (RELIABILITY F6): the target's, and the one on which a run keeps its change set. Each is a small
 * file system in memory, which only root can mount: as another user the tests need `sudo` without a password.
 */
import { execFile } from 'node:child_process'
import { chown, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { expect, test } from 'vitest'

import { createDatabase, Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { importInto, pgDump, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers, startPrivateServer } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, runInside } from '#test/harness/process.ts'

import { Books, codeOf, expectWhole, finishSync, startSync, type SyncOptions } from './runs.ts'
import { createShop, fillShop, keepLedger, readLedger } from './shop.ts'

const run = promisify(execFile)

expectNoProgramSurvives()

test('the disk of the target is full during a first load and during changes (F6)', async () => {
  await using server = await startPrivateServer()
  await using disk = await mountDisk(100)
  const { uid, gid } = await stat(server.folder)
  await chown(disk.path, uid, gid)
  await using source = await createDatabase(sharedServers().source)
  const admin = new Database({ url: server.url(), major: server.major }, 'postgres')
  await admin.sql(`CREATE TABLESPACE small LOCATION '${disk.path}'`)
  await admin.sql('CREATE DATABASE shop TEMPLATE template0 TABLESPACE small')
  const target = new Database({ url: server.url(), major: server.major }, 'shop')
  await createShop(source)
  await createShop(target)
  await keepLedger(target)
  await fillShop(source, 3000)
  await enlargeRows(source, 'first')

  await disk.resizeToFit(4)
  await expectDiskFull(source, target)
  await expectLedgerAgrees(target)
  await disk.resize(200)
  await expectWhole(source, target, new Books())

  await enlargeRows(source, 'second')
  await target.sql('TRUNCATE ledger.entry')
  await disk.resizeToFit(1)
  await expectDiskFull(source, target)
  await expectLedgerAgrees(target)
  await disk.resize(200)
  await expectWhole(source, target, new Books())
})

test('the disk of the change set is full, from the first byte or on the way (F6)', async () => {
  await using disk = await mountDisk(1)
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  const options = { env: { SYNCLINE_TEMP_DIR: disk.path } }
  await createShop(source)
  await createShop(target)
  await keepLedger(target)
  await fillShop(source, 3000)
  const books = new Books()
  books.enter(await finishSync(source.url, target.url, options))
  await source.sql(`UPDATE purchase SET total = total + 1; UPDATE purchase_line SET quantity = quantity + 1`)

  await expectDiskFull(source, target, options)
  await writeFile(join(disk.path, 'filler'), Buffer.alloc(2 * 1024 * 1024)).catch(() => undefined)
  await expectDiskFull(source, target, options)
  expect(await readLedger(target)).toEqual(books.written)
  await truncate(join(disk.path, 'filler'))
  await disk.resize(100)
  await expectWhole(source, target, books, options)
})

test.for([false, true])(
  'the disk of the target is full during an import: the target is as it was (F6, P14); exchanged: %s',
  async (swap) => {
    await using server = await startPrivateServer()
    await using disk = await mountDisk(100)
    const { uid, gid } = await stat(server.folder)
    await chown(disk.path, uid, gid)
    const admin = new Database({ url: server.url(), major: server.major }, 'postgres')
    await admin.sql(`CREATE TABLESPACE small LOCATION '${disk.path}'`)
    await admin.sql('CREATE DATABASE shop TEMPLATE template0 TABLESPACE small')
    await admin.sql('CREATE DATABASE origin TEMPLATE template0')
    const target = new Database({ url: server.url(), major: server.major }, 'shop')
    const source = new Database({ url: server.url(), major: server.major }, 'origin')
    await target.sql(`CREATE TABLE item (old text); INSERT INTO item VALUES ('old')`)
    await source.sql(`CREATE TABLE item (id int PRIMARY KEY, name text);
    INSERT INTO item SELECT n, repeat(md5(n::text), 8) FROM generate_series(1, 60000) n`)
    const file = (await dump(source)).packed
    const before = withoutKey(await pgDump(target))

    await disk.resizeToFit(6)
    expect((await refusal(importInto(target, file, { replace: true, swap }))).code).toBe('disk_full')
    expect(withoutKey(await pgDump(target))).toBe(before)
    await disk.resize(200)
    await importInto(target, file, { replace: true, swap })
    expect(withoutKey(await pgDump(target))).toBe(withoutKey(await pgDump(source)))
    await source.close()
    await target.close()
  },
)

test('the disk of the dumps is full: no part of a file stays, and what was to be kept first is not replaced (F6, D14)', async () => {
  await using disk = await mountDisk(2)
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  for (const db of [source, target]) {
    await db.sql(`CREATE TABLE item (id int PRIMARY KEY, noise text);
      INSERT INTO item SELECT n, md5(n::text) || md5(random()::text) FROM generate_series(1, 60000) n`)
  }
  await target.sql(`UPDATE item SET noise = 'as it was' WHERE id = 7`)
  const held = (): Promise<unknown> =>
    target.sql(`SELECT count(*), md5(string_agg(i::text, ' ' ORDER BY id)) FROM item i`)
  const before = await held()
  const env = { SOURCE: source.url, TARGET: target.url }
  const file = join(disk.path, 'item.sql.zst')

  const exported = await runInside(['export', 'env:SOURCE', '--output', file, '--json'], env)
  expect([exported.code, codeOf(exported)], exported.stderr).toEqual([1, 'disk_full'])
  expect(await readdir(disk.path)).toEqual([])

  await disk.resize(20)
  const whole = await runInside(['export', 'env:SOURCE', '--output', file, '--json'], env)
  expect(whole.code, whole.stderr).toBe(0)
  await disk.resizeToFit(1)
  const kept = await readdir(disk.path)
  const wish = ['--replace', '--backup', join(disk.path, 'backup.sql.zst'), '--trust-file', '--yes', '--json']
  for (const command of [
    ['import', 'env:TARGET', file],
    ['copy', 'env:SOURCE', 'env:TARGET'],
  ]) {
    const flags = command[0] === 'copy' ? wish.map((flag) => flag.replace('trust-file', 'trust-source')) : wish
    const failed = await runInside([...command, ...flags], env)
    expect([failed.code, codeOf(failed)], failed.stderr).toEqual([1, 'disk_full'])
    expect(await readdir(disk.path)).toEqual(kept)
  }
  expect(await held()).toEqual(before)
})

async function expectDiskFull(source: Database, target: Database, options: SyncOptions = {}): Promise<void> {
  await using program = startSync(source.url, target.url, options)
  const exit = await program.exit
  expect([exit.code, codeOf(exit)], exit.stderr).toEqual([1, 'disk_full'])
}

/** What the unfinished job says it has committed is what the triggers saw. */
async function expectLedgerAgrees(target: Database): Promise<void> {
  const [row] = await target.sql(`SELECT sum(inserted), sum(updated), sum(deleted) FROM syncline.state`)
  const [inserted, updated, deleted] = (row ?? []).map(Number)
  expect({ inserted, updated, deleted }).toEqual(await readLedger(target))
}

/** Values that are kept apart from their rows and do not compress. */
async function enlargeRows(db: Database, mark: string): Promise<void> {
  await db.sql(`UPDATE product SET picture = (SELECT decode(string_agg(md5('${mark}' || sku || i), ''), 'hex')
    FROM generate_series(1, 500) i) WHERE sku < 'sku-2'`)
}

/** A disk of some MB, unmounted and removed with its holder. */
class SmallDisk implements AsyncDisposable {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  async resize(megabytes: number): Promise<void> {
    await asRoot('mount', ['-o', `remount,size=${megabytes}m`, this.path])
  }

  /** As full as it is, but for some MB. */
  async resizeToFit(megabytes: number): Promise<void> {
    const { stdout } = await run('du', ['-sm', this.path])
    await this.resize(Number.parseInt(stdout, 10) + megabytes)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await asRoot('umount', ['-l', this.path])
    await rm(this.path, { recursive: true, force: true })
  }
}

async function mountDisk(megabytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'syncline-test-disk-'))
  await asRoot('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0777`, 'tmpfs', path])
  return new SmallDisk(path)
}

async function asRoot(command: string, args: readonly string[]): Promise<void> {
  if (process.getuid?.() === 0) await run(command, [...args])
  else await run('sudo', ['-n', command, ...args])
}
