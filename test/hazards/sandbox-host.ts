/**
 * A process that runs code of the user and does nothing else, with the program's own flags: what it measures of
 * itself is what the code costs its host. Standard input is a JSON object of scripts and rows, standard output a
 * `HostReport`.
 */
import { text } from 'node:stream/consumers'

import type { Row } from '#model/value.ts'
import { CODE_LIMITS, openCode, type Fault } from '#sync/sandbox/code.ts'

export interface HostReport {
  /** Per script, what became of three rows. */
  readonly results: readonly (readonly (Row | Fault)[])[]
  /** How much the resident memory grew at most, in bytes. */
  readonly memory: number
  /** The most processor time between two turns of the event loop, in milliseconds. */
  readonly turn: number
}

const TICK_MS = 10
const WARM_UP = 10

async function run(code: string, rows: readonly Row[]): Promise<readonly (Row | Fault)[]> {
  const shape = {
    columns: [
      { name: 'n', type: { kind: 'integer', bits: 64 } },
      { name: 'secret', type: { kind: 'text', maxLength: null } },
    ],
    outputs: [{ name: 'out', type: { kind: 'text', maxLength: null } }],
  } as const
  await using opened = await openCode(code, shape, CODE_LIMITS)
  return await opened.run(rows)
}

const { scripts, rows } = JSON.parse(await text(process.stdin)) as { scripts: string[]; rows: Row[] }

// What this process takes for sandboxes of any kind is not what the corpus costs.
for (let i = 0; i < WARM_UP; i++) await run('throw 1', rows)

const before = process.memoryUsage.rss()
let last = process.cpuUsage()
let turn = 0
let most = 0
// Processor time between two turns of the loop is what held it up, however busy the machine is.
const watch = setInterval(() => {
  const { user, system } = process.cpuUsage(last)
  last = process.cpuUsage()
  turn = Math.max(turn, (user + system) / 1000)
  most = Math.max(most, process.memoryUsage.rss())
}, TICK_MS)

const results: (readonly (Row | Fault)[])[] = []
for (const script of scripts) results.push(await run(script, rows))
clearInterval(watch)

const report: HostReport = { results, memory: most - before, turn }
process.stdout.write(JSON.stringify(report))
