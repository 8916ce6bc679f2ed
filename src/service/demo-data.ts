/**
 * Demo data for somebody who looks around: the shop of `syncline demo`, on two private servers that this process holds, and
 * the datasources and the sync config to go with them. The databases live as long as the process; what is registered of
 * them stays, and leads to databases made anew where somebody asks for that.
 */
import { randomBytes } from 'node:crypto'
import type { DemoData, DemoEdit, DemoTools } from '#api/tools.ts'
import { recordAudit } from '#control/audit.ts'
import {
  createDatasource,
  deleteDatasource,
  findDatasource,
  listDatasources,
  updateDatasource,
  type DatasourceDraft,
} from '#control/datasources.ts'
import { findDemo, forgetDemo, keepDemo, type StoredDemo } from '#control/demo-data.ts'
import { listJobs } from '#control/jobs.ts'
import type { Store } from '#control/store.ts'
import { createConfig, deleteConfig, listConfigs, type StoredConfig } from '#control/sync-configs.ts'
import { toError } from '#lib/assert.ts'
import { Secret } from '#lib/secret.ts'
import type { SecretBox } from '#lib/secret-box.ts'
import type { Actor } from '#model/access.ts'
import { DEFAULT_CONNECT_TIMEOUT_MS, DEFAULT_POOL_SIZE, type Datasource } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { ACTIVE_STATUSES } from '#model/job.ts'
import { newId } from './api-tools.ts'
import { DEMO_DATABASE, DEMO_ENDS, demoBinaries, execute, startDemoServers, type DemoEnd } from './demo-servers.ts'
import type { DemoServers } from './demo-servers.ts'
import { DEMO_CHANGES, DEMO_LATER, DEMO_SHOP } from './demo-shop.ts'
import { removeAbandonedServers } from './local-postgres.ts'

const HOST = '127.0.0.1'

/** Who the datasources are entered as: owns the shop, and nothing else of its server. */
const LOGIN = 'demo'

const NAMES = { source: 'demo shop', target: 'demo copy', config: 'demo shop to copy' } as const

/** They hold a few thousand rows, and stand beside a service. */
const SETTINGS = { shared_buffers: '16MB', max_connections: '50' }

interface DemoParts {
  readonly store: Store
  readonly box: SecretBox
}

interface Running {
  readonly servers: DemoServers
  readonly password: Secret
  /** How often the databases were edited. */
  edited: number
}

/** Where a datasource leads to, and what it is entered with. */
interface Place {
  readonly port: number
  readonly password: Secret
}

/** The demo data of a service: one for its process. */
export class DemoHolder implements DemoTools, AsyncDisposable {
  readonly #parts: DemoParts
  #running: Running | null = null
  /** Deeds come one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: DemoParts) {
    this.#parts = parts
  }

  /** Ends the servers that a process has left which was killed, where there is demo data. */
  async tidy(): Promise<void> {
    if ((await findDemo(this.#parts.store)) !== null) await removeAbandonedServers()
  }

  async show(): Promise<DemoData> {
    const stored = await findDemo(this.#parts.store)
    const { datasources, configs } = await readRegistered(this.#parts.store, stored)
    const idOf = (end: DemoEnd): string | null => datasources[end]?.id ?? null
    const isThere = idOf('source') !== null || idOf('target') !== null || configs.own !== null
    const refused = await this.#refusal()
    return {
      state: !isThere ? 'none' : this.#running === null || hasEnded(this.#running) ? 'ended' : 'ready',
      sourceId: idOf('source'),
      targetId: idOf('target'),
      configId: configs.own?.id ?? null,
      unavailable: refused && { message: refused.message, hint: refused.hint },
    }
  }

  make(actor: Actor): Promise<DemoData> {
    return this.#inTurn(async () => {
      const refused = await this.#refusal()
      if (refused !== null) throw refused
      // A server that ended by itself takes its half of the shop with it: both are made anew.
      if (this.#running !== null && hasEnded(this.#running)) await this.#end()
      const wasRunning = this.#running !== null
      try {
        await this.#register((this.#running ??= await startFilled()), actor)
      } catch (error) {
        // Nothing is left half-made that was not there before.
        if (!wasRunning) await this.#end()
        throw error
      }
      return this.show()
    })
  }

  edit(actor: Actor): Promise<readonly DemoEdit[]> {
    return this.#inTurn(async () => {
      const running = this.#running
      if (running === null || hasEnded(running)) {
        throw new AppError('wrong_state', 'There are no demo databases that run.', { hint: 'Have them made first.' })
      }
      const { store } = this.#parts
      await recordAudit(store, actor, { action: 'demo.edit', subject: null, data: { time: running.edited + 1 } })
      const first = running.edited === 0
      const { source, target } = { source: urlOf(running, 'source'), target: urlOf(running, 'target') }
      const ofSource = first ? DEMO_CHANGES.filter(({ end }) => end === 'source') : [DEMO_LATER]
      // Before the first sync of all tables there is nothing in the copy that could be edited.
      const ofTarget = first && (await hasShop(target)) ? DEMO_CHANGES.filter(({ end }) => end === 'target') : []
      await executeWhole(source, ofSource)
      // What was inserted once cannot be inserted again, whatever becomes of the copy.
      running.edited += 1
      await executeWhole(target, ofTarget)
      return [
        ...ofSource.map(({ words }) => ({ end: 'source' as const, words })),
        ...ofTarget.map(({ words }) => ({ end: 'target' as const, words })),
      ]
    })
  }

  remove(actor: Actor): Promise<void> {
    return this.#inTurn(async () => {
      const { store } = this.#parts
      const { datasources, configs } = await readRegistered(store, await findDemo(store))
      await refuseUsed(store, { datasources, others: configs.others })
      if (configs.own !== null) await deleteConfig(store, { id: configs.own.id, version: null, actor })
      for (const end of DEMO_ENDS) {
        const found = datasources[end]
        if (found !== null) await deleteDatasource(store, { id: found.id, version: null, actor })
      }
      await forgetDemo(store, actor)
      await this.#end()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inTurn(() => this.#end())
  }

  #inTurn<T>(deed: () => Promise<T>): Promise<T> {
    const done = this.#last.then(deed)
    this.#last = done.catch(() => undefined)
    return done
  }

  async #end(): Promise<void> {
    const running = this.#running
    this.#running = null
    await running?.servers[Symbol.asyncDispose]()
  }

  /** Why there can be no demo data here; null where there can. */
  async #refusal(): Promise<AppError | null> {
    if (this.#parts.store.isPostgres) {
      return new AppError(
        'demo_unavailable',
        'Services on several machines may share this control store, and the demo databases can be reached from one alone.',
      )
    }
    try {
      await demoBinaries()
      return null
    } catch (error) {
      if (error instanceof AppError) return error
      throw error
    }
  }

  /** Makes the datasources lead to the servers that run, and the sync config between them, as far as they are not there. */
  async #register({ servers, password }: Running, actor: Actor): Promise<void> {
    const { store } = this.#parts
    const before = await findDemo(store)
    const { datasources, configs } = await readRegistered(store, before)
    const demo: StoredDemo = {
      sourceId: datasources.source?.id ?? newId('datasource'),
      targetId: datasources.target?.id ?? newId('datasource'),
      configId: configs.own?.id ?? newId('sync config'),
    }
    await keepDemo(store, demo, actor)
    for (const end of DEMO_ENDS) {
      const place = { port: servers[end].port, password }
      const found = datasources[end]
      if (found === null) await this.#create(end, { id: demo[`${end}Id`], ...place }, actor)
      else await this.#move(found, place, actor)
    }
    if (configs.own !== null) return
    const names = (await listConfigs(store)).map(({ document }) => document.name)
    await createConfig(
      store,
      {
        name: freeName(NAMES.config, names),
        source_datasource_id: demo.sourceId,
        target_datasource_id: demo.targetId,
        schema_policy: 'create',
        delete_policy: 'delete',
        audit_level: 'detailed',
      },
      { id: demo.configId, actor },
    )
  }

  async #move(found: Datasource, { port, password }: Place, actor: Actor): Promise<void> {
    if (found.connection.port === port) return
    const { id, name, kind, schemas, poolSize, connectTimeoutMs, environment, writable } = found
    const connection = { ...found.connection, port }
    const draft = { name, kind, connection, password, schemas, poolSize, connectTimeoutMs, environment, writable }
    await updateDatasource(this.#parts, { id, version: null, actor }, draft)
  }

  async #create(end: DemoEnd, { id, port, password }: Place & { readonly id: string }, actor: Actor): Promise<void> {
    const names = (await listDatasources(this.#parts.store)).map(({ name }) => name)
    const draft: DatasourceDraft = {
      name: freeName(NAMES[end], names),
      kind: 'postgres',
      connection: {
        host: HOST,
        port,
        database: DEMO_DATABASE,
        user: LOGIN,
        ssl: 'disable',
        ca: null,
        projectUrl: null,
      },
      password,
      schemas: null,
      poolSize: DEFAULT_POOL_SIZE,
      connectTimeoutMs: DEFAULT_CONNECT_TIMEOUT_MS,
      environment: 'training',
      writable: end === 'target',
    }
    await createDatasource(this.#parts, draft, { id, actor, origin: 'stored' })
  }
}

/** Where no service runs, nobody could hold the servers: what is registered can be looked at and removed. */
export function demoWithoutService({ store, box }: DemoParts): DemoTools {
  const holder = new DemoHolder({ store, box })
  const refused = new AppError(
    'demo_unavailable',
    'Demo databases run as long as a service does, and none runs here.',
    {
      hint: 'Start one with syncline serve; or have syncline demo show a sync on databases of its own.',
    },
  )
  const unavailable = { message: refused.message, hint: refused.hint }
  return {
    show: async () => ({ ...(await holder.show()), unavailable }),
    make: () => Promise.reject(refused),
    edit: () => Promise.reject(refused),
    remove: (actor) => holder.remove(actor),
  }
}

/** The servers, with the shop in the one and an empty database in the other, both owned by a login of their own. */
async function startFilled(): Promise<Running> {
  await using stack = new AsyncDisposableStack()
  const servers = stack.use(await startDemoServers(SETTINGS))
  const password = randomBytes(18).toString('base64url')
  for (const end of DEMO_ENDS) {
    await execute(servers[end].url(), `CREATE ROLE ${LOGIN} LOGIN PASSWORD '${password}'`)
    await execute(servers[end].url(), `CREATE DATABASE ${DEMO_DATABASE} OWNER ${LOGIN}`)
  }
  const url = new URL(servers.source.url(DEMO_DATABASE))
  url.username = LOGIN
  url.password = password
  await execute(url.href, DEMO_SHOP)
  await execute(url.href, 'ANALYZE')
  stack.move()
  return { servers, password: new Secret(password), edited: 0 }
}

/** Whether one of its servers is gone, which somebody has stopped or the system has killed. */
function hasEnded({ servers }: Running): boolean {
  return DEMO_ENDS.some((end) => servers[end].pid === undefined)
}

function urlOf({ servers }: Running, end: DemoEnd): string {
  return servers[end].url(DEMO_DATABASE)
}

async function hasShop(url: string): Promise<boolean> {
  const [row] = await execute(
    url,
    `SELECT bool_and(to_regclass('public.' || name) IS NOT NULL) AS there FROM unnest('{customers,orders,order_lines}'::text[]) name`,
  )
  return row?.['there'] === true
}

/** All of the edits or none. @throws AppError `database_error` */
async function executeWhole(url: string, edits: readonly { readonly sql: string }[]): Promise<void> {
  if (edits.length === 0) return
  try {
    await execute(url, ['BEGIN', ...edits.map(({ sql }) => sql), 'COMMIT'].join(';\n'))
  } catch (error) {
    throw new AppError('database_error', `The demo databases cannot be edited: ${toError(error).message}.`, {
      hint: 'Somebody has altered their tables: remove the demo data and have it made again.',
      cause: error,
    })
  }
}

interface Registered {
  readonly datasources: Readonly<Record<DemoEnd, Datasource | null>>
  readonly configs: {
    readonly own: StoredConfig | null
    /** Those that somebody else made between databases of which one is of the demo. */
    readonly others: readonly StoredConfig[]
  }
}

/** What there is of the demo data. What somebody has made lead elsewhere is theirs. */
async function readRegistered(store: Store, stored: StoredDemo | null): Promise<Registered> {
  const find = async (id: string): Promise<Datasource | null> => {
    const found = await findDatasource(store, id)
    if (found === null) return null
    const { host, database, user } = found.connection
    return host === HOST && database === DEMO_DATABASE && user === LOGIN ? found : null
  }
  const datasources = {
    source: stored && (await find(stored.sourceId)),
    target: stored && (await find(stored.targetId)),
  }
  const ids = DEMO_ENDS.flatMap((end) => datasources[end]?.id ?? [])
  const touching = (await listConfigs(store)).flatMap((config) => {
    const { source_datasource_id: from, target_datasource_id: to } = config.document
    const own = [from, to].filter((id) => ids.includes(id)).length
    return own === 0 ? [] : [{ config, isOwn: config.id === stored?.configId && own === 2 }]
  })
  return {
    datasources,
    configs: {
      own: touching.find(({ isOwn }) => isOwn)?.config ?? null,
      others: touching.filter(({ isOwn }) => !isOwn).map(({ config }) => config),
    },
  }
}

/** @throws AppError `in_use` */
async function refuseUsed(
  store: Store,
  { datasources, others }: { datasources: Registered['datasources']; others: readonly StoredConfig[] },
): Promise<void> {
  if (others.length > 0) {
    const names = others.map(({ document }) => document.name).join(', ')
    throw new AppError('in_use', `The demo databases are used by sync configs: ${names}.`)
  }
  for (const end of DEMO_ENDS) {
    const datasource = datasources[end]?.id
    if (datasource === undefined) continue
    const [job] = await listJobs(store, { datasource, status: ACTIVE_STATUSES, limit: 1 })
    if (job === undefined) continue
    throw new AppError('in_use', `The job ${job.id} of the demo databases is under way.`, {
      hint: 'Cancel it, or wait until it ends.',
    })
  }
}

/** The name itself, or with the first number behind it that makes it free. */
function freeName(name: string, taken: readonly string[]): string {
  if (!taken.includes(name)) return name
  for (let n = 2; ; n++) if (!taken.includes(`${name} ${n}`)) return `${name} ${n}`
}
