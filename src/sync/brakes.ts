import { AppError } from '#model/errors.ts'
import { BRAKE_ROWS, type Policies } from '#model/sync-config.ts'
import { tableName } from '#model/table.ts'
import type { Detection } from './stages/detect.ts'
import type { TablePlan } from './plan.ts'

/** What a run is about to do to one table. */
export interface Intent {
  readonly plan: TablePlan
  readonly detection: Detection
  /** Nothing was ever brought in step here before. */
  readonly firstContact: boolean
}

/** Percent of the target's rows that a run may overwrite on first contact. */
const FIRST_CONTACT_PERCENT = 10

/**
 * The mass-change brakes (hazard A13): they act before the first write of the whole run, and an approval is for the very
 * number that was shown. An empty source is a fault, not truth.
 */
export function checkBrakes(intents: readonly Intent[], policies: Policies): void {
  const braked = intents.filter((intent) => deletesTooMany(intent, policies))
  const deletes = sum(braked, (intent) => intent.detection.deletes)
  if (deletes > 0 && policies.approvedDeletes !== deletes) {
    throw new AppError('delete_brake', `The run would delete ${list(braked, (intent) => intent.detection.deletes)}.`, {
      hint: `Check that the source is whole; then approve the very number with --approve-deletes ${deletes}.`,
    })
  }
  checkOverwrites(intents, policies)
}

/** The second of the brakes. */
export function checkOverwrites(intents: readonly Intent[], policies: Policies): void {
  const overwriting = intents.filter((intent) => overwritesTooMany(intent, policies))
  const overwrites = sum(overwriting, (intent) => intent.detection.updates)
  if (overwrites > 0 && policies.approvedOverwrites !== overwrites) {
    throw new AppError(
      'overwrite_brake',
      `The run would overwrite ${list(overwriting, (intent) => intent.detection.updates)}.`,
      {
        hint: `Check the direction of the sync; then approve the very number with --approve-overwrites ${overwrites}.`,
      },
    )
  }
}

function deletesTooMany({ detection }: Intent, policies: Policies): boolean {
  if (detection.deletes === 0) return false
  const { source, target } = rowsOf(detection)
  return source === 0 || isTooMany(detection.deletes, target, policies.maxDeletePercent)
}

function overwritesTooMany({ detection, firstContact }: Intent, policies: Policies): boolean {
  const percent = policies.maxOverwritePercent ?? (firstContact ? FIRST_CONTACT_PERCENT : null)
  return percent !== null && isTooMany(detection.updates, rowsOf(detection).target, percent)
}

/** The rows of both tables, also where a few of them were looked at. */
function rowsOf({ sourceRows, targetRows, ofRows }: Detection): { source: number; target: number } {
  return ofRows ?? { source: sourceRows, target: targetRows }
}

function isTooMany(rows: number, of: number, percent: number): boolean {
  return rows > Math.max(BRAKE_ROWS, (of * percent) / 100)
}

function sum(intents: readonly Intent[], rows: (intent: Intent) => number): number {
  return intents.reduce((total, intent) => total + rows(intent), 0)
}

function list(intents: readonly Intent[], rows: (intent: Intent) => number): string {
  return intents
    .map((intent) => {
      const { detection, plan } = intent
      const of = rowsOf(detection)
      const source = of.source === 0 ? ', and the source has none' : ''
      return `${rows(intent)} of ${of.target} rows of ${tableName(plan.target.ref)}${source}`
    })
    .join('; ')
}
