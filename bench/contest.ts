import { measure, median, type Command, type Cost, type Measured } from './measure.ts'

/** One way of doing a job. */
export interface Contestant {
  readonly name: string
  /** Puts the databases into the state that the job begins with; not measured. */
  readonly prepare: (round: number) => Promise<void>
  readonly commands: () => readonly Command[]
  /** Proves the outcome. @throws Error if it is wrong */
  readonly check: () => Promise<void>
  /** The part of the run that counts, in seconds, where it is not the whole. */
  readonly seconds?: (stdout: string) => number
  /** Further figures of a run. */
  readonly figures?: (stdout: string) => Promise<Readonly<Record<string, number>>>
}

/** One line of the table of goals. */
export interface Goal {
  readonly job: string
  readonly title: string
  readonly ours: string
  readonly peer: string
  /** Our seconds by the peer's, at most. */
  readonly atMost: number
  /** Compares whole runs, also where the contestants count a part. */
  readonly whole?: boolean
}

export interface Run extends Cost {
  readonly seconds: number
  readonly figures: Readonly<Record<string, number>>
}

export interface Result {
  readonly runs: Readonly<Record<string, readonly Run[]>>
  readonly goals: readonly (Goal & { ratio: number; ratios: readonly number[] })[]
}

/**
 * Round by round every contestant once, the order turned round by round, so that what drifts or disturbs strikes all
 * alike. A ratio is that of the medians; the ratios of the rounds are kept beside it.
 */
export async function contest(
  contestants: readonly Contestant[],
  goals: readonly Goal[],
  { rounds, servers }: { rounds: number; servers: Measured },
): Promise<Result> {
  const runs: Record<string, Run[]> = Object.fromEntries(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    const turn = round % contestants.length
    const turned = [...contestants.slice(turn), ...contestants.slice(0, turn)]
    for (const contestant of turned) {
      await contestant.prepare(round)
      const { stdout, ...cost } = await measure(contestant.commands(), servers)
      await contestant.check()
      const seconds = contestant.seconds?.(stdout) ?? cost.wallS
      const figures = (await contestant.figures?.(stdout)) ?? {}
      runs[contestant.name]?.push({ ...cost, seconds, figures })
      console.error(line(contestant.name, { ...cost, seconds, figures }))
    }
  }
  return {
    runs,
    goals: goals.map((goal) => {
      const [ours, peer] = [runs[goal.ours] ?? [], runs[goal.peer] ?? []]
      const [our, their] = [ours, peer].map((all) => all.map((run) => (goal.whole === true ? run.wallS : run.seconds)))
      const ratio = median(our ?? []) / median(their ?? [])
      return { ...goal, ratio, ratios: (our ?? []).map((seconds, i) => seconds / (their?.[i] ?? NaN)) }
    }),
  }
}

export function line(name: string, run: Run): string {
  const figures = Object.entries(run.figures).map(([key, value]) => `${key} ${round(value)}`)
  return [
    name.padEnd(34),
    `${run.seconds.toFixed(2).padStart(8)} s`,
    `wall ${run.wallS.toFixed(2)} s`,
    `client ${run.clientCpuS.toFixed(2)} s`,
    `servers ${run.serverCpuS.toFixed(2)} s`,
    `peak ${run.peakMib.toFixed(0)} MiB`,
    `noise ${run.noise.toFixed(2)}`,
    ...figures,
  ].join('  ')
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
