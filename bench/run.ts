/**
 * Our engine beside its peers, on this machine, in one call: `npm run bench -- [job…] [--runs 5] [--scale 1] [--json FILE]`.
 * Jobs and goals are those of docs/performance.md.
 */
import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { line, type Result, type Run } from './contest.ts'
import { apply } from './jobs/apply.ts'
import { difference } from './jobs/difference.ts'
import { oneTable } from './jobs/one-table.ts'
import { parallel } from './jobs/parallel.ts'
import { wholeDatabase } from './jobs/whole-database.ts'
import { median } from './measure.ts'
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
  { jobs: ['8'], run: difference },
  { jobs: ['9', '14'], run: apply },
  { jobs: ['13'], run: parallel },
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
await using servers = await startServers()
const results: Result[] = []
for (const { jobs, run } of CONTESTS) {
  if (!jobs.some(only)) continue
  results.push(await run({ servers, scale: Number(values.scale), rounds: Number(values.runs), only }))
}
const machine = { cpus: `${cpus().length} × ${cpus()[0]?.model}`, memoryGib: Math.round(totalmem() / 2 ** 30) }
const facts = { machine, node: process.version, postgres: servers.version, settings: SETTINGS, ...values }
writeFileSync(values.json, `${JSON.stringify({ ...facts, results }, null, 2)}\n`)
for (const { runs } of results) {
  for (const [name, all] of Object.entries(runs)) {
    const middle = all.toSorted((a, b) => a.seconds - b.seconds)[all.length >> 1]
    if (middle) console.log(line(name, middle))
  }
}
for (const { runs, goal } of results.flatMap((result) => result.goals.map((goal) => ({ runs: result.runs, goal })))) {
  const { job, title, ratio, ratios, atMost, ours, peer } = goal
  const spread = ratios.map((each) => each.toFixed(2)).join(' ')
  const [our, theirs] = [cpuOf(runs[ours] ?? []), cpuOf(runs[peer] ?? [])]
  const verdict = ratio <= atMost ? 'met' : 'MISSED'
  console.log(
    `job ${job}  ${title} / ${peer}: ${ratio.toFixed(2)} (goal ${atMost.toFixed(2)}, ${verdict}; rounds ${spread}; CPU ${(our / theirs).toFixed(2)})`,
  )
}

/** CPU seconds of a contestant's processes and of both servers: what a noisy machine hardly changes. */
function cpuOf(all: readonly Run[]): number {
  return median(all.map((each) => each.clientCpuS + each.serverCpuS))
}
