/** The service on the databases of the demo, set up by its own API as anybody would do it. */
import { ApiClient, asObject, HttpTransport } from '#api/client.ts'
import { delay } from '#lib/clock.ts'
import { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'
import { useSettings } from './config.ts'
import { serve, type Serving } from './serve.ts'

export interface DemoServiceRequest {
  readonly source: string
  readonly target: string
  /** A folder for store, key and log, gone with the demo. */
  readonly folder: string
}

/** A service that runs until it is disposed of. */
export interface DemoService extends AsyncDisposable {
  readonly url: string
  /** Signs a browser in, once. */
  readonly link: string
  /** Runs the sync config of the demo to its end. @throws AppError `verification_failed` unless it succeeds */
  readonly sync: (signal: AbortSignal) => Promise<{ readonly jobId: string; readonly rows: number }>
}

const WATCH_MS = 200

/** Starts it on the usual port, or on any other where that is taken. */
export async function startDemoService({ source, target, folder }: DemoServiceRequest): Promise<DemoService> {
  const settings = { dataDirectory: folder, logFile: `${folder}/service.log`, tempDirectory: folder }
  const stop = new AbortController()
  const { serving, ended } = await startAnywhere(settings, stop.signal)
  const end = async (): Promise<void> => {
    stop.abort()
    await ended
  }
  try {
    const client = (key: string | null): ApiClient =>
      new ApiClient(new HttpTransport(serving.url, key === null ? null : new Secret(key)), stop.signal)
    const made = asObject(await client(null).post('/setup', { token: serving.setupToken }))
    const api = client(String(made['key']))
    await api.post('/datasources', { name: 'shop', url: source })
    await api.post('/datasources', { name: 'copy', url: target, environment: 'development', writable: true })
    await api.post('/sync-configs', {
      name: 'shop to copy',
      source_datasource_id: 'shop',
      target_datasource_id: 'copy',
      schema_policy: 'create',
      delete_policy: 'delete',
    })
    return {
      url: serving.url,
      link: await serving.linkFor(String(made['id'])),
      sync: (signal) => runToEnd(api, signal),
      [Symbol.asyncDispose]: end,
    }
  } catch (error) {
    await end()
    throw error
  }
}

async function startAnywhere(settings: Parameters<typeof useSettings>[0], signal: AbortSignal): Promise<Started> {
  try {
    useSettings(settings)
    return await start(signal)
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'address_in_use') throw error
    useSettings({ ...settings, port: '0' })
    return await start(signal)
  }
}

interface Started {
  readonly serving: Serving
  readonly ended: Promise<void>
}

async function start(signal: AbortSignal): Promise<Started> {
  const { promise: ready, resolve } = Promise.withResolvers<Serving>()
  const ended = serve(resolve, signal)
  const serving = await Promise.race([ready, ended])
  if (serving === undefined) throw new AppError('interrupted', 'The service ended before it was ready.')
  return { serving, ended }
}

async function runToEnd(api: ApiClient, signal: AbortSignal): Promise<{ jobId: string; rows: number }> {
  const { job_id: id } = asObject(await api.post('/sync/shop%20to%20copy', {}))
  for (;;) {
    const job = asObject(await api.get(`/jobs/${String(id)}`))
    const { status } = job
    if (status === 'succeeded') {
      const { inserted, updated, deleted } = asObject(job['counts'])
      return { jobId: String(id), rows: Number(inserted) + Number(updated) + Number(deleted) }
    }
    if (status === 'failed' || status === 'cancelled' || status === 'stopped') {
      throw new AppError('verification_failed', `The job ${String(id)} ${status}: ${JSON.stringify(job['error'])}`)
    }
    await delay(WATCH_MS, signal)
  }
}
