import type { Policies } from '#model/sync-config.ts'
import { contest, type Contestant, type Goal, type Result } from '#bench/contest.ts'
import { changesOf, makeWide, wideBytes, wideCount } from '#bench/data.ts'
import { measure, type Command } from '#bench/measure.ts'
import { lastLine, numberAt, timedSync } from '#bench/ours.ts'
import { assertEqual, checksum, connect, freshDatabase, run } from '#bench/servers.ts'
import type { Bench } from '#bench/run.ts'
import { tapWire } from '#bench/wire.ts'

/** The small number shows what the changes themselves cost, beside the large one. */
const CHANGES = [100, 10] as const

/** Both sides at once, each in one statement and by as many workers as its server gives it. */
const SCANS = {
  'checksum scan, MD5': `SELECT count(*), sum(('x' || left(md5(t::text), 16))::bit(64)::int8) FROM wide t`,
  'checksum scan, fast hash': 'SELECT count(*), sum(hashtextextended(t::text, 0)) FROM wide t',
} as const

const WAYS: readonly { readonly job: string; readonly way: string; readonly policies: Partial<Policies> }[] = [
  { job: '16', way: 'merge', policies: { conflictStrategy: 'merge' } },
  { job: '17', way: 'manual', policies: { conflictStrategy: 'manual' } },
  { job: '18', way: 'two ways', policies: { conflictStrategy: 'merge', direction: 'two_way' } },
]

const COMMON = { deletePolicy: 'delete', deleteScope: 'mirror', verifyAfter: 'changed' } as const

/** Jobs 16 to 18: changes against a baseline, beside nothing but one checksum of both sides. */
export async function threeWay({ servers, scale, rounds, only }: Bench): Promise<Result> {
  const rows = wideCount(scale)
  for (const server of [servers.source, servers.target]) {
    await using client = await connect(await freshDatabase(server, 'pristine'))
    await makeWide(client, { name: 'wide', rows, primaryKey: true })
  }
  const results: Result[] = []
  for (const { job, way, policies } of WAYS.filter((one) => only(one.job))) {
    results.push(await oneWay({ servers, scale, rounds }, { job, way, rows, policies: { ...COMMON, ...policies } }))
  }
  return {
    runs: Object.assign({}, ...results.map((result) => result.runs)) as Result['runs'],
    goals: results.flatMap(({ goals }) => goals),
  }
}

interface Way {
  readonly job: string
  readonly way: string
  readonly rows: number
  readonly policies: Partial<Policies>
}

async function oneWay(
  { servers, rounds }: Pick<Bench, 'servers' | 'scale' | 'rounds'>,
  { job, way, rows, policies }: Way,
): Promise<Result> {
  const [source, target] = await Promise.all(
    [servers.source, servers.target].map(async (server) => {
      await run(
        server.url(),
        'DROP DATABASE IF EXISTS threeway WITH (FORCE)',
        'CREATE DATABASE threeway TEMPLATE pristine STRATEGY file_copy',
        'CHECKPOINT',
      )
      return server.url('threeway')
    }),
  )
  if (source === undefined || target === undefined) throw new Error('There are two servers.')
  let turn = 0
  const change = async (changes: number): Promise<void> => {
    turn += 1
    if (policies.direction !== 'two_way') return run(source, ...changesOf({ turn, rows, changes }))
    await run(source, ...changesOf({ turn, rows, changes: changes / 2, lane: 'even' }))
    await run(target, ...changesOf({ turn, rows, changes: changes / 2, lane: 'odd' }))
  }
  const command = (from: string, to: string): Command => timedSync(from, to, policies)
  // The first run makes the baseline.
  await measure([timedSync(source, target, { ...policies, verifyAfter: 'full' })], servers)
  const bytes = await wideBytes(source)
  const ours = CHANGES.map((changes) => `${way}, ${changes} changes`)
  const contestants = CHANGES.map((changes, i): Contestant => {
    let wire: number | null = null
    return {
      name: ours[i] ?? '',
      prepare: () => change(changes),
      commands: () => [command(source, target)],
      check: async () => assertEqual(await checksum(source), target),
      figures: async (stdout) => {
        wire ??= await wireOf(changes)
        return {
          'compare s': numberAt(lastLine(stdout), 'phases', 'compare'),
          'wire bytes per change': wire / changes,
          'wire %': (100 * wire) / bytes,
        }
      },
    }
  })
  const scans = Object.entries(SCANS).map(([name, statement]): Contestant => ({
    name: `${name} (${way})`,
    prepare: () => Promise.resolve(),
    commands: () => [scan([source, target], statement)],
    check: async () => assertEqual(await checksum(source), target),
  }))
  return contest([...contestants, ...scans], goalsOf(job, way, rows), { rounds, servers })

  /** A run of its own, once: counting would cost time in a measured one. */
  async function wireOf(changes: number): Promise<number> {
    await change(changes)
    await using from = await tapWire(source ?? '')
    await using to = await tapWire(target ?? '')
    await measure([command(from.url, to.url)], servers)
    await assertEqual(await checksum(source ?? ''), target ?? '')
    return from.bytes + to.bytes
  }
}

function goalsOf(job: string, way: string, rows: number): Goal[] {
  return Object.keys(SCANS).flatMap((peer) =>
    CHANGES.map((changes): Goal => ({
      job,
      title: `${way}: ${changes} changes in ${rows} rows`,
      ours: `${way}, ${changes} changes`,
      peer: `${peer} (${way})`,
      atMost: peer.includes('MD5') ? 1 : 2,
    })),
  )
}

function scan(urls: readonly string[], statement: string): Command {
  const each = urls.map((url) => `psql -XAtq -c "$1" '${url}' &`)
  return { argv: ['bash', '-c', `${each.join(' ')} wait`, 'scan', statement] }
}
