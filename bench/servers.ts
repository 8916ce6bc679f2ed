import pg from 'pg'
import { findPostgresBinaries, startLocalPostgres, type LocalPostgres } from '#service/local-postgres.ts'

/** The same for both servers and for every contestant. Autovacuum would strike one contestant and spare the next. */
export const SETTINGS: Readonly<Record<string, string>> = {
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
  maintenance_work_mem: '256MB',
  autovacuum: 'off',
  track_io_timing: 'off',
}

/** Two private servers of one version: the source and the target of every job. */
export interface Servers extends AsyncDisposable {
  readonly source: LocalPostgres
  readonly target: LocalPostgres
  readonly version: string
}

export async function startServers(): Promise<Servers> {
  const [binaries] = await findPostgresBinaries(process.env['SYNCLINE_BENCH_POSTGRES'])
  if (!binaries) throw new Error('There is no PostgreSQL on this machine: apt-get install postgresql.')
  const source = await startLocalPostgres({ binaries, settings: SETTINGS })
  const target = await startLocalPostgres({ binaries, settings: SETTINGS })
  await using client = await connect(source.url())
  const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
  return {
    source,
    target,
    version: rows[0]?.server_version ?? '',
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]()
      await target[Symbol.asyncDispose]()
    },
  }
}

export type Client = pg.Client & AsyncDisposable

export async function connect(url: string): Promise<Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
}

/** An empty database of this name, whatever was there. The server's checkpoint is not the next contestant's burden. */
export async function freshDatabase(server: LocalPostgres, name: string): Promise<string> {
  await using client = await connect(server.url())
  await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  await client.query(`CREATE DATABASE ${name}`)
  await client.query('CHECKPOINT')
  return server.url(name)
}

/** Runs statements in one session. */
export async function run(url: string, ...statements: readonly string[]): Promise<void> {
  await using client = await connect(url)
  for (const statement of statements) await client.query(statement)
}

/** By table: rows, and what its contents and its shape hash to. */
export type Checksum = ReadonlyMap<string, string>

/** Count, sum and xor of two independent row hashes of every user table, and its indexes and constraints by definition. */
export async function checksum(url: string): Promise<Checksum> {
  await using client = await connect(url)
  await client.query(`SET timezone = 'UTC'; SET jit = off`)
  const { rows: tables } = await client.query<{ name: string; shape: string }>(SHAPES)
  const sums = new Map<string, string>()
  for (const { name, shape } of tables) {
    const { rows } = await client.query<{ sum: string }>(
      `SELECT concat_ws(' ', count(*), sum(hashtextextended(x.r, 0)), bit_xor(hashtextextended(x.r, 1))) AS sum
       FROM (SELECT t::text AS r FROM ${name} t OFFSET 0) x`,
    )
    sums.set(name, `${rows[0]?.sum} ${shape}`)
  }
  return sums
}

const SHAPES = `
  SELECT c.oid::regclass::text AS name, md5(
    coalesce((SELECT string_agg(pg_get_indexdef(i.indexrelid), ';' ORDER BY i.indexrelid::regclass::text) FROM pg_index i WHERE i.indrelid = c.oid), '') ||
    coalesce((SELECT string_agg(pg_get_constraintdef(k.oid), ';' ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = c.oid), '')) AS shape
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'syncline', 'pgcopydb')
  ORDER BY 1`

/** @throws Error naming the tables whose contents, indexes or constraints differ */
export async function assertEqual(
  expected: Checksum,
  targetUrl: string,
  counts: (table: string) => boolean = () => true,
): Promise<void> {
  const target = await checksum(targetUrl)
  const names = new Set([...expected.keys(), ...target.keys()])
  const wrong = [...names].filter((name) => counts(name) && expected.get(name) !== target.get(name))
  const first = wrong[0]
  if (first === undefined) return
  throw new Error(`The contents differ in ${wrong.join(', ')}: ${expected.get(first)} against ${target.get(first)}`)
}
