/**
 * A program: one run of table t (id, v, n), of which one column is put into upper case on its way. Prints the most memory
 * that it ever had resident, in MB. Arguments: the source's URL, the target's, the column.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempDisposableSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openDatabase } from '#adapters/registry.ts'
import { EmbeddedStaging } from '#control/embedded-staging.ts'
import { systemClock } from '#lib/clock.ts'
import type { FieldMapping } from '#model/field-mapping.ts'
import { DEFAULT_POLICIES, plainMapping } from '#model/sync-config.ts'
import { runSync } from '#sync/run-sync.ts'

import { permitWrite } from './permit.ts'

const [sourceUrl = '', targetUrl = '', upper = ''] = process.argv.slice(2)
const { signal } = new AbortController()
using folder = mkdtempDisposableSync(join(tmpdir(), 'syncline-mapped-'))
await using source = await openDatabase(sourceUrl, { write: null, signal })
await using target = await openDatabase(targetUrl, { write: permitWrite(targetUrl), signal })

const fields = ['id', 'v', 'n'].map((name): FieldMapping => ({
  target: name,
  from: { kind: 'columns', columns: [name] },
  transforms: name === upper ? [{ name: 'upper', args: {} }] : [],
  rules: [],
}))
const table = { schema: 'public', name: 't' }
const config = { ...DEFAULT_POLICIES, maxOverwritePercent: 100, tables: [{ ...plainMapping(table, table), fields }] }
await runSync(
  { source, target, config },
  {
    openStaging: () => new EmbeddedStaging(join(folder.path, 'staging.sqlite')),
    journal: { record: () => {} },
    clock: systemClock,
    job: { id: `job_${randomBytes(6).toString('hex')}`, lease: null, confirm: () => Promise.resolve() },
    signal,
    maskKey: null,
    quarantine: null,
    history: null,
    conflicts: null,
  },
)
console.log(Math.round(process.resourceUsage().maxRSS / 1024))
