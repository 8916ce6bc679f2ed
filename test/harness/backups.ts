/** What imports of a test keep of what they replace, as those of the product keep it. */
import { openDatabase } from '#adapters/registry.ts'
import { readBackup, writeBackup } from '#dump/backup.ts'
import { DumpWriter } from '#dump/dump-writer.ts'
import type { Backup, Kept } from '#dump/import-dump.ts'
import { systemClock } from '#lib/clock.ts'

import type { Database } from './database.ts'
import { fileOf } from './import.ts'

export class Backups {
  readonly files: Buffer[] = []
  readonly discarded: string[] = []
  readonly #url: string

  /** @param url another login than the test's own */
  constructor(db: Pick<Database, 'url'>, url = db.url) {
    this.#url = url
  }

  readonly keep = async (kept: Kept): Promise<Backup> => {
    const { signal } = new AbortController()
    const chunks: Buffer[] = []
    await using adapter = await openDatabase(this.#url, { write: null, signal })
    const sink = { write: async (chunk: Uint8Array) => void chunks.push(Buffer.from(chunk)) }
    await using writer = await DumpWriter.open(sink, { compression: 'zstd', passphrase: null })
    await writeBackup(adapter, kept, writer, { clock: systemClock, signal, program: 'test' })
    const packed = Buffer.concat(chunks)
    await readBackup(kept, fileOf(packed), signal)
    this.files.push(packed)
    const name = `backup ${this.files.length}`
    return { name, discard: () => Promise.resolve(void this.discarded.push(name)) }
  }

  get last(): Buffer {
    return this.files.at(-1) ?? Buffer.alloc(0)
  }
}
