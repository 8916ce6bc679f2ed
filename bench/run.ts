/**
 * Our engine beside its peers, on this machine, in one call: `npm run bench -- [job…] [--runs 5] [--scale 1] [--json FILE]`.
 * Jobs and goals are those of docs/performance.md.
 */
import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import type { Result } from './contest.ts'
import { apply } from './jobs/apply.ts'
import { code } from './jobs/code.ts'
import { conflicts } from './jobs/conflicts.ts'
import { difference } from './jobs/difference.ts'
import { differenceAcross } from './jobs/difference-across.ts'
import { dump, restore } from './jobs/dump.ts'
import { mappedTable } from './jobs/mapped-table.ts'
import { oneTable } from './jobs/one-table.ts'
import { otherEngine } from './jobs/other-engine.ts'
import { parallel } from './jobs/parallel.ts'
import { threeWay } from './jobs/three-way.ts'
import { wholeDatabase } from './jobs/whole-database.ts'
import { build } from './ours.ts'
import { report, type BenchRecord } from './report.ts'
import { SETTINGS, startServers, type Servers } from './servers.ts'

export interface Bench {
  readonly servers: Servers
  readonly scale: number
  readonly rounds: number
  /** Whether a job was asked for. */
  readonly only: (job: string) => boolean
}

const CONTESTS = [
  { jobs: ['1', '2', '14'], run: wholeDatabase },
  { jobs: ['3'], run: oneTable },
  { jobs: ['4'], run: mappedTable },
  { jobs: ['5', '6', '7'], run: otherEngine },
  { jobs: ['8'], run: difference },
  { jobs: ['8'], run: differenceAcross },
  { jobs: ['9', '14'], run: apply },
  { jobs: ['12'], run: dump },
  { jobs: ['20'], run: restore },
  { jobs: ['13'], run: parallel },
  { jobs: ['15'], run: code },
  { jobs: ['16', '17', '18'], run: threeWay },
  { jobs: ['19'], run: conflicts },
] as const

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    scale: { type: 'string', default: '1' },
    json: { type: 'string', default: 'bench-result.json' },
  },
})
const only = (job: string): boolean => positionals.length === 0 || positionals.includes(job)
build()
await using servers = await startServers()
const results: Result[] = []
for (const { jobs, run } of CONTESTS) {
  if (!jobs.some(only)) continue
  results.push(await run({ servers, scale: Number(values.scale), rounds: Number(values.runs), only }))
}
const machine = { cpus: `${cpus().length} × ${cpus()[0]?.model}`, memoryGib: Math.round(totalmem() / 2 ** 30) }
const record: BenchRecord = {
  machine,
  node: process.version,
  postgres: servers.version,
  settings: SETTINGS,
  ...values,
  results,
}
writeFileSync(values.json, `${JSON.stringify(record, null, 2)}\n`)
console.log(report(results))
