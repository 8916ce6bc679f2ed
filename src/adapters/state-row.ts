import type { BaselineDetail } from '#model/conflict.ts'
import type { Claim, StatePhase } from './sync-state.ts'

/** A row of the table `state` in a target, as text: every server keeps the same columns in it. */
type StateRow = readonly (string | null)[]

/** What a baseline may keep beside fingerprints. */
export const DETAILS: readonly BaselineDetail[] = ['fields', 'image']

/** Which details the text of the state names. */
export function toDetails(text: string | null | undefined): BaselineDetail[] {
  const names = (text ?? '').split(',')
  return DETAILS.filter((name) => names.includes(name))
}

/**
 * @param row mapping, job, epoch, phase, rows inserted, updated and deleted, batches, whether the baseline is complete,
 * seconds since the last full verification, hash of the mapping, details of the baseline
 */
export function toClaim(row: StateRow, hasBaseline: boolean): Claim {
  return {
    mappingId: row[0] ?? '',
    jobId: row[1] ?? '',
    epoch: BigInt(row[2] ?? '0'),
    phase: toPhase(row[3]),
    committed: {
      inserted: Number(row[4]),
      updated: Number(row[5]),
      deleted: Number(row[6]),
      batches: Number(row[7]),
    },
    mappingHash: row[10] ?? '',
    hasBaseline,
    baselineDetails: toDetails(row[11]),
    // One server says true in a letter, the other in a number.
    baselineComplete: row[8] === 't' || row[8] === '1',
    verifiedSecondsAgo: row[9] === null || row[9] === undefined ? null : Number(row[9]),
  }
}

function toPhase(text: string | null | undefined): StatePhase {
  return text === 'loading' || text === 'applying' || text === 'done' ? text : 'new'
}
