import type { Adapter } from '#adapters/adapter.ts'
import { AppError } from '#model/errors.ts'

/** Only a proof refuses: a mark that is planted in the target is seen in the source (clones share identifiers). */
export async function refuseSameDatabase(source: Adapter, target: Adapter): Promise<void> {
  await using mark = await target.plantMark()
  if (await source.seesMark(mark.id)) {
    throw new AppError('same_database', `${source.server.address} and ${target.server.address} are the same database.`)
  }
}
