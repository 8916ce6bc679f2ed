import { contest, type Contestant, type Result } from '#bench/contest.ts'
import { child, lastLine, numberAt } from '#bench/ours.ts'
import type { Bench } from '#bench/run.ts'

const ROWS = 1_000_000

/** Job 15: a small function of JavaScript over rows, in the sandbox and as a plain closure that is fed by JSON. */
export async function code({ servers, scale, rounds }: Bench): Promise<Result> {
  const rows = Math.max(1_000, Math.round(ROWS * scale))
  const outcomes: number[] = []
  const contestant = (name: string, way: 'sandbox' | 'closure'): Contestant => ({
    name,
    prepare: async () => {},
    commands: () => [{ argv: [process.execPath, child('code-child.ts'), way, String(rows)] }],
    figures: async (stdout) => {
      outcomes.push(numberAt(lastLine(stdout), 'length'))
      return {}
    },
    check: async () => {
      if (new Set(outcomes).size > 1) throw new Error('The two ways gave different results.')
    },
  })
  return contest(
    [contestant('syncline, code in the sandbox', 'sandbox'), contestant('a plain closure fed by JSON', 'closure')],
    [
      {
        job: '15',
        title: 'JavaScript in the sandbox (the rate is the inverse)',
        ours: 'syncline, code in the sandbox',
        peer: 'a plain closure fed by JSON',
        atMost: 5,
      },
    ],
    { rounds, servers },
  )
}
