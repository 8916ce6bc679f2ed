/** Runs in two ways, and what holds after each of them. */
import { expect } from 'vitest'

import { written } from '#model/counts.ts'
import type { Receipt } from '#model/receipt.ts'
import type { SyncConfig } from '#model/sync-config.ts'

import { MemoryConflicts } from './conflicts.ts'
import type { Pair, RunHooks } from './sync.ts'

export const TWO_WAYS = {
  direction: 'two_way',
  conflictStrategy: 'manual',
  deletePolicy: 'delete',
  maxDeletePercent: 100,
  maxOverwritePercent: 100,
} as const satisfies Partial<SyncConfig>

/** Both ways, with whatever is decided by nobody waiting for somebody. */
export function runTwoWays(
  pair: Pick<Pair, 'run'>,
  config: Partial<SyncConfig>,
  hooks: RunHooks = {},
): Promise<Receipt> {
  return pair.run({ ...TWO_WAYS, ...config }, { conflicts: new MemoryConflicts(), twoWays: true, ...hooks })
}

/** Writes nothing on either side, by buckets or by a proof of everything (I3). */
export async function expectQuiet(
  pair: Pick<Pair, 'run'>,
  config: Partial<SyncConfig>,
  hooks: RunHooks = {},
): Promise<void> {
  for (const verifyAfter of ['auto', 'full'] as const) {
    const again = await runTwoWays(pair, { ...config, verifyAfter }, hooks)
    expect(written(again.counts), verifyAfter).toBe(0)
    for (const { verification } of again.tables) expect(verification.changedSince).toBe(0)
  }
}
