import type { Program } from '#test/harness/process.ts'
import { randomFrom } from '../crash/runs.ts'

/** Kills at random moments, all of which lie within what the program takes where nobody kills it. */
export interface RandomKills {
  readonly kills: number
  readonly seed: number
  /** Starts the program that is to be killed for the so-and-so-many-th time; 0: it is let be, and measured. */
  start(kill: number): Program
  /** What has become of its target. What it made is taken away again, so that the next kill meets what is to be replaced. */
  look(): Promise<string>
}

/** What was seen after the kills, how often. Kills that came too late are made up for: `killed` is what was asked for. */
export async function killAtRandom({ kills, seed, start, look }: RandomKills): Promise<{
  readonly whole: string
  readonly seen: ReadonlyMap<string, number>
}> {
  const random = randomFrom(seed)
  const began = performance.now()
  {
    await using program = start(0)
    await program.exit
  }
  let tookMs = performance.now() - began
  const whole = await look()
  const seen = new Map<string, number>()
  for (let killed = 0; killed < kills;) {
    await using program = start(killed + 1)
    const started = performance.now()
    await program.signalAfter(random() * tookMs, 'SIGKILL')
    const { signal } = await program.exit
    if (signal === 'SIGKILL') killed += 1
    // It is quicker than it was: later moments would meet nothing.
    else tookMs = Math.min(tookMs, performance.now() - started)
    const there = await look()
    seen.set(there, (seen.get(there) ?? 0) + 1)
  }
  console.log(`${kills} kills within ${Math.round(tookMs)} ms: ${JSON.stringify([...seen])}`)
  return { whole, seen }
}
