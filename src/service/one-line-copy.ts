/** A copy that needs no set-up: two URLs, opened, copied and closed again. */
import { locateDatabase } from '#adapters/registry.ts'
import { DatabaseCopy, type CopyWish } from '#dump/copy-database.ts'
import type { Imported } from '#dump/import-dump.ts'
import type { RestorePlan } from '#dump/plan-import.ts'
import { armFailpoint } from '#lib/failpoint.ts'
import type { CopyOptions } from '#model/copy.ts'
import { environmentOf } from '#model/environment.ts'
import { WritePermit } from '#model/write-protection.ts'
import { readRunConfig } from './config.ts'
import { assertNewBackup, backUp, type Agreed } from './one-line-import.ts'
import { openNamed, RULES, type OneLineTools, type TargetConsent } from './one-line.ts'
import type { Reference } from './reference.ts'

export interface OneLineCopy {
  readonly source: Reference
  readonly target: Reference
  readonly options: CopyOptions
  readonly wish: CopyWish
  /** As of `OneLineImport`. */
  readonly backup: string | null
}

export interface CopyPlan {
  readonly plan: RestorePlan
  /** The moment of the source that was looked at. */
  readonly moment: string
}

/** What a copy would do. Nothing is opened for writing. @throws AppError as `DatabaseCopy.open` */
export function planCopyFrom(request: OneLineCopy, signal: AbortSignal): Promise<CopyPlan> {
  return withCopy(request, { write: null, signal }, async ({ copy: { plan, moment } }) => ({ plan, moment }))
}

/** @throws AppError `target_protected` before anything is written; as `DatabaseCopy` */
export function copyFrom(
  request: OneLineCopy,
  consent: TargetConsent & { readonly agreed: Agreed },
  tools: OneLineTools,
): Promise<Imported & Pick<CopyPlan, 'moment'>> {
  const { address, local } = locateDatabase(request.target.url.reveal())
  const environment = environmentOf({ local }, consent.environment)
  const write = WritePermit.forNamed({ address, environment }, consent, RULES)
  return withCopy(request, { write, signal: tools.signal }, async ({ copy, target }) => {
    const { journal, signal } = tools
    const { backup } = request
    const of = request.target
    const copied = await copy.run(target, {
      journal,
      agreed: consent.agreed,
      backup: backup === null ? null : (kept) => backUp(kept, backup, { target, signal, of }),
    })
    return { ...copied, moment: copy.moment }
  })
}

async function withCopy<T>(
  request: OneLineCopy,
  { write, signal }: { readonly write: WritePermit | null; readonly signal: AbortSignal },
  work: (opened: { readonly copy: DatabaseCopy; readonly target: Awaited<ReturnType<typeof openNamed>> }) => Promise<T>,
): Promise<T> {
  assertNewBackup(request.backup)
  const { failpoint, maskKey } = readRunConfig()
  if (failpoint !== null) armFailpoint(failpoint)
  await using source = await openNamed('source', request.source, { write: null, signal })
  await using target = await openNamed('target', request.target, { write, signal })
  await using copy = await DatabaseCopy.open({ source, target }, request.options, request.wish, { maskKey, signal })
  return await work({ copy, target })
}
