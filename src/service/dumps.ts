import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { DumpDirectory } from '#dump/directory.ts'
import type { DumpTools } from '#jobs/dumps.ts'
import { checkReference, lookUpPassword } from '#jobs/references.ts'
import { wallMs } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import { makeId } from '#model/id.ts'
import type { Config } from './config.ts'
import { openingTools, type Parts } from './datasource-tools.ts'
import { readRetention, type RetentionConfig } from './retention.ts'
import { version } from './version.ts'

type DumpConfig = Pick<
  Config,
  'dataDirectory' | 'dumpDirectory' | 'dumpMaxUnpackedBytes' | 'dumpDrillInto' | 'dumpDrillTrust'
> &
  RetentionConfig

const DAY_MS = 86_400_000

export function dumpTools(parts: Parts & { readonly config: DumpConfig }): DumpTools {
  const { store, config } = parts
  const { references } = openingTools(parts)
  const { dumpDrillInto: into, dumpDrillTrust: trusted } = config
  const path = config.dumpDirectory ?? join(config.dataDirectory, 'dumps')
  return {
    store,
    directory: new DumpDirectory(path),
    limits: async () => {
      const { days, bytes } = await readRetention({ store, config })
      return { maxAgeMs: days.dumps * DAY_MS, mostBytes: bytes.dumps, freeBytes: bytes.free }
    },
    mostUnpackedBytes: config.dumpMaxUnpackedBytes,
    drills: into === null ? null : { into, trusted },
    newDumpId: () => makeId('dump', wallMs(), randomBytes(10)),
    program: version(),
    checkPassphrase: (reference) => checkReference(reference, references),
    lookUpPassphrase: async (reference) => {
      const found = await lookUpPassword(reference, 'stored', references)
      if (found !== null) return found
      throw new AppError('secret_unreadable', `There is no passphrase under ${reference}.`, {
        hint: 'Write the passphrase where the reference leads.',
      })
    },
  }
}
