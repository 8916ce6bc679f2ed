import type { Transaction } from 'kysely'
import type { SecretBox } from '#lib/secret-box.ts'
import { nowOwner } from './change-marks.ts'
import type { Tables } from './schema.ts'

/** Rows whose boxes are in memory at once. */
const PAGE = 50

/**
 * Seals anew, with the current key, the rows that decisions are about. The changes themselves stay as they are: without the
 * former key they count as lost, and are computed again. @throws SealBroken
 */
export async function resealMarks(tx: Transaction<Tables>, box: SecretBox): Promise<void> {
  for (let last = { job_id: '', generation: '', seq: 0 }; ;) {
    const { job_id: job, generation, seq } = last
    const rows = await tx
      .selectFrom('change_mark')
      .select(['job_id', 'generation', 'seq', 'now_sealed'])
      .where('now_sealed', 'is not', null)
      .where((where) =>
        where.or([
          where('job_id', '>', job),
          where.and([where('job_id', '=', job), where('generation', '>', generation)]),
          where.and([where('job_id', '=', job), where('generation', '=', generation), where('seq', '>', seq)]),
        ]),
      )
      .orderBy('job_id')
      .orderBy('generation')
      .orderBy('seq')
      .limit(PAGE)
      .execute()
    for (const row of rows) {
      last = row
      const { now_sealed: sealed } = row
      if (sealed === null || box.isCurrent(sealed)) continue
      await tx
        .updateTable('change_mark')
        .set({ now_sealed: box.seal(box.open(sealed, nowOwner(row)), nowOwner(row)) })
        .where('job_id', '=', row.job_id)
        .where('generation', '=', row.generation)
        .where('seq', '=', row.seq)
        .execute()
    }
    if (rows.length < PAGE) return
  }
}
