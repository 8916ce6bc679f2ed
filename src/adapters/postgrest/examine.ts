import { once } from 'node:events'
import { isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ServerInfo } from '#adapters/adapter.ts'
import type { DescribedDatabase } from '#adapters/place.ts'
import { pass, warn, type Finding } from '#adapters/finding.ts'
import { caught, failed } from '#adapters/postgres/finding.ts'
import { grantSql } from '#adapters/postgres/sql.ts'
import { must } from '#lib/assert.ts'
import { systemClock, wallMs } from '#lib/clock.ts'
import type { Check } from '#model/check.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import { describeServer } from './adapter.ts'
import { readDescription, type RestTable } from './description.ts'
import { ProjectFunctions } from './functions.ts'
import { RestClient, type Answer, type Question } from './http.ts'
import { firstRows } from './pages.ts'
import { KEY_HINT, readKey, toRestPlace, type RestPlace } from './place.ts'

const SLOW_MS = 200
const SKEW_MS = 5_000
/** Tables that are tried. */
const TRIED = 50
/** Tables that are named where several are meant. */
const NAMED = 3

/** Looks at a project by its REST API step by step; ends after the first failure that stands in the way of the rest. */
export async function* examineProject(described: DescribedDatabase, signal: AbortSignal): AsyncGenerator<Check> {
  const timed = timer()
  let place: RestPlace
  try {
    place = toRestPlace(described)
  } catch (error) {
    yield timed('key', failed(error))
    return
  }
  yield timed('provider', pass(`the REST API of a project, ${place.base.origin}`))
  for (const { step, look } of WAY) {
    const finding = await caught(() => look(place))
    yield timed(step, finding)
    if (finding.state === 'fail') return
  }
  const key = lookAtKey(place)
  yield timed('key', key)
  if (key.state === 'fail') return
  await using client = new RestClient(place, signal)
  const tables: RestTable[] = []
  for (const [i, schema] of place.schemas.entries()) {
    let answer: Answer
    try {
      answer = await client.tryOnce(aboutSchema(schema))
      if (i === 0) yield timed('login', pass('the API takes the key'))
      tables.push(...readDescription(answer, schema).tables)
      yield timed('schema', pass(`${schema}, with ${tables.length} tables and views`))
    } catch (error) {
      const unexposed = error instanceof AppError && error.code === 'schema_not_exposed'
      yield timed(unexposed || i > 0 ? 'schema' : 'login', failed(error))
      return
    }
    if (i === 0) for (const [step, finding] of lookAtServer(describeServer(place, answer))) yield timed(step, finding)
  }
  yield timed('latency', await caught(() => lookAtLatency(client)))
  yield timed('read tables', await caught(() => lookAtTables(client, tables)))
  yield timed('write tables', await caught(() => lookAtFunctions(client, tables)))
}

/** Whether the project can be a target. That it cannot is no failure: a source needs none of it. */
async function lookAtFunctions(client: RestClient, tables: readonly RestTable[]): Promise<Finding> {
  const functions = new ProjectFunctions(client)
  try {
    await functions.refuseOtherVersion()
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'rest_not_prepared') throw error
    return warn('not prepared to be a target', error.hint)
  }
  const refs = tables.slice(0, TRIED).map(({ schema }) => schema.ref)
  const found = refs.length === 0 ? [] : await functions.tables(refs)
  const own = found.filter(({ schema: { kind } }) => kind === 'table' || kind === 'partitioned')
  const closed = own.filter(({ schema: { rights } }) => !rights.insert || !rights.update || !rights.delete)
  const [first] = closed
  if (first === undefined) return pass(`prepared, and ${own.length} tables may be written`)
  const names = closed.slice(0, NAMED).map(({ schema }) => tableName(schema.ref))
  return warn(
    `prepared, and ${closed.length} of ${own.length} tables may not be written: ${names.join(', ')}`,
    grantSql(first.schema.ref, ['insert', 'update', 'delete'], 'service_role'),
  )
}

function aboutSchema(schema: string): Question {
  return { method: 'GET', path: '', query: '', schema, doing: `reading the description of the schema ${schema}` }
}

function timer(): (step: string, finding: Finding) => Check {
  let before = systemClock.elapsed()
  return (step, finding) => {
    const now = systemClock.elapsed()
    const check = { step, ...finding, ms: Math.round(now - before) }
    before = now
    return check
  }
}

const WAY: readonly { readonly step: string; readonly look: (place: RestPlace) => Promise<Finding> }[] = [
  { step: 'host name', look: lookAtName },
  { step: 'encryption', look: lookAtEncryption },
]

function hostOf({ base }: RestPlace): string {
  return base.hostname.replace(/^\[|\]$/g, '')
}

async function lookAtName(place: RestPlace): Promise<Finding> {
  const host = hostOf(place)
  const addresses = await place.resolve(host)
  return pass(`${host} is ${addresses.map(({ address }) => address).join(', ')}`)
}

async function lookAtEncryption(place: RestPlace): Promise<Finding> {
  if (place.base.protocol === 'http:') return pass('none, on this machine')
  const host = hostOf(place)
  const [first] = await place.resolve(host)
  const socket = connectTls({
    host: must(first, 'an address').address,
    port: Number(place.base.port || 443),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(place.ca === null ? {} : { ca: place.ca }),
  })
  const timer = setTimeout(() => {
    socket.destroy(new AppError('connection_timeout', `${place.base.host} did not answer in time.`))
  }, place.connectTimeoutMs)
  try {
    await once(socket, 'secureConnect')
    const until = socket.getPeerCertificate().valid_to
    return pass(`${socket.getProtocol()}, ${socket.getCipher().name}, verified, certificate until ${until}`)
  } finally {
    clearTimeout(timer)
    socket.on('error', () => undefined).destroy()
  }
}

/** What the key says of itself: a key of another role is let in, and sees only what policies show it (hazard A14). */
function lookAtKey({ key }: RestPlace): Finding {
  const { kind, role, expires } = readKey(key)
  if (expires !== null && expires * 1000 < wallMs()) {
    return { state: 'fail', found: 'the key has expired', next: KEY_HINT }
  }
  if (role === 'service_role') return pass(`a ${kind} of the role ${role}, which passes row-level security by`)
  const found = role === null ? 'the key does not tell its role' : `a ${kind} of the role ${role}`
  return { state: 'fail', found: `${found}: row-level security may hide rows from it`, next: KEY_HINT }
}

function lookAtServer({ product, clockSkewMs }: ServerInfo): [step: string, Finding][] {
  const skew = `${(Math.abs(clockSkewMs) / 1000).toFixed(0)} s ${clockSkewMs < 0 ? 'behind' : 'ahead of'} this machine`
  return [
    ['server', pass(product)],
    ['clock', Math.abs(clockSkewMs) > SKEW_MS ? warn(skew, 'Set the clock of this machine by NTP.') : pass(skew)],
  ]
}

async function lookAtLatency(client: RestClient): Promise<Finding> {
  const before = systemClock.elapsed()
  await client.tryOnce({ ...aboutSchema(must(client.place.schemas[0], 'a schema')), method: 'HEAD' })
  const ms = systemClock.elapsed() - before
  const found = `${ms.toFixed(1)} ms for a round trip`
  return ms <= SLOW_MS ? pass(found) : warn(found, 'Run syncs near the project: every page waits for a round trip.')
}

async function lookAtTables(client: RestClient, tables: readonly RestTable[]): Promise<Finding> {
  if (tables.length === 0) {
    return warn(
      'the API describes none',
      'GRANT SELECT ON ALL TABLES IN SCHEMA … TO service_role; or name other schemas.',
    )
  }
  const some = tables.slice(0, TRIED)
  const faults: { name: string; error: AppError }[] = []
  for (const table of some) {
    try {
      await firstRows(client, table, 1)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      faults.push({ name: tableName(table.schema.ref), error })
    }
  }
  const [first] = faults
  const keyless = tables.filter(({ schema }) => schema.primaryKey === null).length
  const without = keyless === 0 ? '' : `, ${keyless} without a primary key (they need a declared key)`
  if (first === undefined) return pass(`${some.length} of ${tables.length} tried${without}`)
  const names = faults.slice(0, NAMED).map(({ name }) => name)
  return warn(
    `${faults.length} of ${some.length} cannot be read: ${names.join(', ')}. ${first.error.message}`,
    first.error.hint,
  )
}
