/**
 * A program: computes a change set of `changes` updates and seals it, dying at a failpoint where one is given; with `measure`
 * it then reads, pages, decides and settles all of it. Prints what each step took (wall, CPU) in ms, and the most memory that it
 * ever had resident, in MB. Argument: a `StagingRun` as JSON.
 */
import { ALL_CHANGES, pageChanges } from '#control/change-pages.ts'
import type { ChangeSetTools } from '#control/change-set-tools.ts'
import { openChangeSet } from '#control/change-sets.ts'
import { decideChanges } from '#control/decide-changes.ts'
import { RedisChunkPlaces } from '#control/redis-chunks.ts'
import { RedisLink } from '#control/redis-link.ts'
import { Store, type StoreLocation } from '#control/store.ts'
import { systemClock } from '#lib/clock.ts'
import { armFailpoint } from '#lib/failpoint.ts'
import { resolveHost } from '#lib/network-address.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { SYSTEM } from '#model/access.ts'
import type { ImagedChange, StagingKind } from '#model/change-set.ts'
import { parseRedisUrl } from '#model/redis.ts'

import { factsOf, update } from './change-sets.ts'

export interface StagingRun {
  readonly location: StoreLocation
  readonly folder: string
  readonly jobId: string
  readonly staging: StagingKind
  readonly redisUrl: string | null
  /** 32 bytes in hex. */
  readonly key: string
  readonly changes: number
  readonly failpoint: string | null
  readonly measure: boolean
}

const BATCH = 1_000
const run = JSON.parse(process.argv[2] ?? '{}') as StagingRun
await using store = await Store.open(run.location, { clock: systemClock, migrate: false })
const url = run.redisUrl
await using link = url === null ? null : new RedisLink({ place: async () => parseRedisUrl(url), resolve: resolveHost })
const tools: ChangeSetTools = {
  store,
  box: new SecretBox([Buffer.from(run.key, 'hex')]),
  folder: run.folder,
  limits: { embedded: 2 ** 31, redis: 2 ** 31 },
  redis: link && new RedisChunkPlaces(link, store),
}
const times: Record<string, readonly [wall: number, cpu: number]> = {}
const took = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
  const [before, cpu] = [performance.now(), process.cpuUsage()]
  const result = await work()
  const { user, system } = process.cpuUsage(cpu)
  times[step] = [Math.round(performance.now() - before), Math.round((user + system) / 1000)]
  return result
}
if (run.failpoint !== null) armFailpoint(run.failpoint)
const { jobId, staging } = run
await using set = openChangeSet(tools, { jobId, staging })

const summary = await took('seal', async () => {
  await set.begin()
  for (let start = 0; start < run.changes; start += BATCH) {
    const count = Math.min(BATCH, run.changes - start)
    await set.append(
      0,
      Array.from({ length: count }, (_, i): ImagedChange => change(start + i)),
    )
  }
  return set.seal(factsOf(['t0']))
})
if (run.measure) await measure()
const peak = Math.round(process.resourceUsage().maxRSS / 1024)
console.log(JSON.stringify({ changes: summary.changes, bytes: summary.bytes, times, peak }))

function change(i: number): ImagedChange {
  return update(
    `key ${i}`,
    `a value before ${i * 7919}, of some length`,
    `a value after ${i * 104_729}, of some length`,
  )
}

async function measure(): Promise<void> {
  await took('read', async () => {
    for await (const _ of set.read(0)) continue
  })
  const last = { ...ALL_CHANGES, key: [`key ${run.changes - 1}`] }
  await took('first page', () => pageChanges(tools, jobId, ALL_CHANGES, { after: null, limit: 100 }))
  await took('page from the end', () =>
    pageChanges(tools, jobId, ALL_CHANGES, { after: run.changes - 100, limit: 100 }),
  )
  await took('find one key', () => pageChanges(tools, jobId, last, { after: null, limit: 100 }))
  const all = { filter: ALL_CHANGES, seqs: null, actor: SYSTEM }
  await took('leave all', () => decideChanges(tools, jobId, { ...all, verdict: 'leave' }))
  await took('apply all', () => decideChanges(tools, jobId, { ...all, verdict: 'apply' }))
  await took('settle all', async () => {
    for (let start = 1; start <= run.changes; start += BATCH) {
      const seqs = Array.from({ length: Math.min(BATCH, run.changes - start + 1) }, (_, i) => start + i)
      const now = { expect: '1', row: ['k', 'v'] }
      await set.settle(seqs.map((seq) => ({ seq, mark: 'moved', reason: 'it moved', now })))
    }
  })
  await took('compute again, decisions held', async () => {
    await decideChanges(tools, jobId, { ...all, verdict: 'leave' })
    await set.begin()
    for (let i = 0; i < run.changes; i++) await set.append(0, [change(i)])
    await set.seal(factsOf(['t0']))
  })
}
