/**
 * A sync as a program of its own that tells how long each phase took: `sync-child.ts SOURCE TARGET POLICIES [MAPPING]`, the last
 * two as JSON. It is the very engine; only the journal is another than the command line's.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { openDatabase } from '#adapters/registry.ts'
import { permitWrite } from '#test/harness/permit.ts'
import { EmbeddedStaging } from '#control/embedded-staging.ts'
import { systemClock } from '#lib/clock.ts'
import { toFieldMapping, type FieldDocument } from '#model/field-document.ts'
import { DEFAULT_POLICIES, plainMapping, type Policies } from '#model/sync-config.ts'
import type { Journal } from '#sync/journal.ts'
import { runSync } from '#sync/run-sync.ts'

const [sourceUrl = '', targetUrl = '', given = '{}', mapping = 'null'] = process.argv.slice(2)
const policies: Policies = { ...DEFAULT_POLICIES, ...(JSON.parse(given) as Partial<Policies>) }
const signal = new AbortController().signal
const back = policies.direction === 'two_way' ? permitWrite(sourceUrl) : null
await using source = await openDatabase(sourceUrl, { write: back, signal })
await using target = await openDatabase(targetUrl, { write: permitWrite(targetUrl), signal })
const started = new Map<string, number>()
const phases: Record<string, number> = {}

/** Seconds of each phase, summed over tables. */
function record(event: Parameters<Journal['record']>[0]): void {
  if (event.type === 'retry') console.error(event)
  if (event.type === 'phase') started.set(event.phase + event.table.name, performance.now())
  if (event.type === 'phase done') {
    const began = started.get(event.phase + event.table.name) ?? NaN
    phases[event.phase] = (phases[event.phase] ?? 0) + (performance.now() - began) / 1000
  }
}

const mapped = JSON.parse(mapping) as { readonly table: string; readonly fields: readonly FieldDocument[] } | null
const ref = { schema: 'public', name: mapped?.table ?? '' }
const tables = mapped && [{ ...plainMapping(ref, ref), fields: mapped.fields.map(toFieldMapping) }]

const receipt = await runSync(
  { source, target, config: { ...policies, tables } },
  {
    openStaging: () => new EmbeddedStaging(join(tmpdir(), `bench-${process.pid}-${randomUUID()}.sqlite`)),
    journal: { record },
    clock: systemClock,
    job: { id: `job_${randomUUID()}`, lease: null, confirm: () => Promise.resolve() },
    signal,
    maskKey: null,
    quarantine: null,
    history: null,
    conflicts: null,
  },
)
console.log(JSON.stringify({ counts: receipt.counts, phases, peakMib: process.resourceUsage().maxRSS / 1024 }))
