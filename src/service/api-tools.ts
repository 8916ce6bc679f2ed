import { randomBytes } from 'node:crypto'
import { DEFAULT_LIMITS, type ApiTools } from '#api/tools.ts'
import { openModel } from '#jobs/open-model.ts'
import { startJob } from '#jobs/start-job.ts'
import { wallMs } from '#lib/clock.ts'
import { isLoopback } from '#lib/network-address.ts'
import { makeId, type IdKind } from '#model/id.ts'
import { aiTools, modelOpening } from './ai.ts'
import type { Base } from './base.ts'
import { datasourceTools } from './datasource-tools.ts'
import { dumpTools } from './dumps.ts'
import type { Logger } from './logging.ts'
import { retentionTools } from './retention.ts'
import { changeSetTools, redisTools } from './staging.ts'
import { version } from './version.ts'

/** What the API of this installation acts with. */
export function apiTools(
  { store, box, rules, config }: Base,
  parts: Pick<ApiTools, 'live' | 'readStatus' | 'ownKey' | 'demo'> & { readonly logger: Logger },
): ApiTools {
  return {
    store,
    box,
    changeSets: changeSetTools({ store, box, config }),
    rules,
    ...parts,
    config: {
      version: version(),
      tls: config.behindProxy,
      hosts: config.hosts,
      corsOrigins: config.corsOrigins,
      trustedProxies: config.trustedProxies,
      publicDocs: config.publicDocs || (isLoopback(config.host) && !config.behindProxy),
      limits: DEFAULT_LIMITS,
    },
    startJob: (wish, actor, jobId, also) =>
      startJob({ store, rules, newJobId: () => jobId, ...(also === undefined ? {} : { also }) }, wish, actor),
    datasources: datasourceTools({ store, box, config }, rules, () => openModel(modelOpening({ store, box, config }))),
    redis: redisTools({ store, box, config }),
    retention: retentionTools({ store, config }),
    ai: aiTools({ store, box, config }),
    dumps: dumpTools({ store, box, config }),
  }
}

export function newId(kind: IdKind): string {
  return makeId(kind, wallMs(), randomBytes(10))
}
