/** The results as Markdown: `report.ts FILE…` prints those of several calls of the benchmark as one. */
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { Result, Run } from './contest.ts'
import { median } from './measure.ts'

/** What a call of the benchmark writes down. */
export interface BenchRecord {
  readonly machine: { readonly cpus: string; readonly memoryGib: number }
  readonly node: string
  readonly postgres: string
  readonly settings: Readonly<{ [name: string]: string }>
  readonly scale: string
  readonly results: readonly Result[]
}

export function report(results: readonly Result[]): string {
  return [...goals(results), '', ...costs(results), ''].join('\n')
}

function goals(results: readonly Result[]): string[] {
  const lines = results.flatMap(({ runs, goals: all }) =>
    all.map(({ job, title, ours, peer, atMost, ratio, ratios, whole: wholeRuns }) => {
      const seconds = (run: Run): number => (wholeRuns === true ? run.wallS : run.seconds)
      const best = Math.min(...(runs[ours] ?? []).map(seconds)) / Math.min(...(runs[peer] ?? []).map(seconds))
      const whole = wholeRuns === true || (runs[ours] ?? []).every((run) => run.seconds === run.wallS)
      const cpu = whole ? (cpuOf(runs[ours] ?? []) / cpuOf(runs[peer] ?? [])).toFixed(2) : '–'
      const spread = ratios.map((each) => each.toFixed(2)).join(' ')
      const verdict = ratio <= atMost ? 'met' : '**missed**'
      return `| ${job} | ${title} | ${peer} | ≤ ${atMost.toFixed(2)} | ${ratio.toFixed(2)} | ${verdict} | ${spread} | ${best.toFixed(2)} | ${cpu} |`
    }),
  )
  return [
    '| job | what | against | goal | ratio | | rounds | of the fastest runs | CPU ratio |',
    '|---|---|---|---|---|---|---|---|---|',
    ...lines.toSorted((a, b) => Number.parseInt(a.slice(2), 10) - Number.parseInt(b.slice(2), 10)),
  ]
}

function costs(results: readonly Result[]): string[] {
  const lines = results.flatMap(({ runs }) =>
    Object.entries(runs).map(([name, all]) => {
      const of = (value: (run: Run) => number, digits = 1): string => median(all.map(value)).toFixed(digits)
      const figures = Object.keys(all[0]?.figures ?? {}).map(
        (key) => `${key} ${Number(of((run) => run.figures[key] ?? NaN, 2))}`,
      )
      const times = [
        of((run) => run.seconds, 2),
        of((run) => run.wallS, 2),
        of((run) => run.clientCpuS),
        of((run) => run.serverCpuS),
      ]
      const peak = Math.max(...all.map((run) => run.peakMib)).toFixed(0)
      return `| ${[name, ...times, peak, of((run) => run.noise), figures.join(', ')].join(' | ')} |`
    }),
  )
  return [
    '| contestant (medians) | counted, s | wall, s | own CPU, s | servers’ CPU, s | peak, MiB (worst) | noise, CPUs | |',
    '|---|---|---|---|---|---|---|---|',
    ...lines,
  ]
}

/** CPU seconds of a contestant's processes and of both servers: what a noisy machine changes least. */
function cpuOf(all: readonly Run[]): number {
  return median(all.map((run) => run.clientCpuS + run.serverCpuS))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const records = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, 'utf8')) as BenchRecord)
  console.log(report(records.flatMap((record) => record.results)))
}
